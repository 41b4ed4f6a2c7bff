import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it } from "vitest";

import type { Case, Command, DeviceEvent, Refused, Snapshot } from "../src/api/types";
import { isWaiting } from "../src/sos/waiting";
import { useFleet } from "../src/state/fleet";
import { device } from "./devices";

const NOW = 1_795_000_000_000;

function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    type: "snapshot",
    seq: 0,
    at_ms: NOW,
    devices: [device(NOW)],
    cases: [],
    refused: [],
    areas: [],
    stale_after_s: 300,
    bus: true,
    telemetry: true,
    ...changes,
  };
}

const sos = {
  id: 3,
  device: "t-0001",
  kind: "sos",
  status: "reported",
  presses: 1,
  acknowledged_presses: 0,
  closed_ms: null,
} as Case;

describe("the fleet", () => {
  beforeEach(() => setActivePinia(createPinia()));

  it("a marker stands where the server says, whatever time the device thought it was", () => {
    const fleet = useFleet();
    fleet.takeSnapshot(snapshot());
    const position = device(NOW).position;
    if (position === null) throw new Error("the fixture has a position");
    for (const [at_ms, lat_e6] of [
      [NOW + 80 * 365 * 86_400_000, 1],
      [NOW + 5000, 2],
      [0, 3],
      [NOW + 10_000, 4],
    ] as const) {
      fleet.takeDeltas([{ kind: "position", ...position, at_ms, lat_e6 }]);
      expect(fleet.devices.get("t-0001")?.position?.lat_e6).toBe(lat_e6);
    }
  });

  it("a last will keeps what was known and says offline", () => {
    const fleet = useFleet();
    fleet.takeSnapshot(snapshot());
    fleet.takeDeltas([
      {
        kind: "state",
        device: "t-0001",
        online: false,
        received_ms: NOW + 5,
        flags: ["offline", "unprotected"],
        state: { online: false, epoch: 1, boot: 1, connection: 1 },
      },
    ]);
    const row = fleet.devices.get("t-0001");
    expect(row).toMatchObject({ online: false, flags: ["offline", "unprotected"] });
    expect(row?.state?.duty).toBe(true);
  });

  it("the same event twice is one event", () => {
    const fleet = useFleet();
    const event = { id: 7, kind: "sos", device: "t-0001" } as DeviceEvent;
    fleet.takeDeltas([{ kind: "event", event }, { kind: "event", event }]); // prettier-ignore
    expect(fleet.events).toHaveLength(1);
  });

  it("an answer that comes after the live stream takes nothing back", () => {
    const fleet = useFleet();
    const command = { id: "0123456789abcdef", status: "queued" } as Command;
    fleet.takeDeltas([{ kind: "command", command: { ...command, status: "done" } }]);
    fleet.takeAnswer({ command });
    expect(fleet.commands.get(command.id)?.status).toBe("done");
    fleet.takeDeltas([{ kind: "case", case: { ...sos, status: "closed", closed_ms: NOW } }]);
    fleet.takeAnswer({ case: { ...sos, status: "taken" } });
    expect(fleet.openCases).toHaveLength(0);
  });

  it("an answer does not silence a press that came meanwhile", () => {
    const fleet = useFleet();
    const taken = { ...sos, status: "taken", acknowledged_presses: 1 } as Case;
    fleet.takeDeltas([{ kind: "case", case: { ...taken, presses: 2 } }]);
    fleet.takeAnswer({ case: taken });
    expect(fleet.openCases.map(isWaiting)).toEqual([true]);
    fleet.takeAnswer({ case: { ...taken, presses: 2, acknowledged_presses: 2 } });
    expect(fleet.openCases.map(isWaiting)).toEqual([false]);
  });

  it("a refused SOS is shown once a device, until somebody has seen it", () => {
    const fleet = useFleet();
    const refused = { id: 4, device: "t-0001", kind: "sos", acknowledged_ms: null } as Refused;
    fleet.takeSnapshot(snapshot({ refused: [refused] }));
    fleet.takeDeltas([{ kind: "refused", refused: { ...refused, id: 5 } }]);
    expect(fleet.refusedSoses.map((row) => row.id)).toEqual([5]);
    for (const id of [4, 5])
      fleet.takeDeltas([{ kind: "refused", refused: { ...refused, id, acknowledged_ms: NOW } }]);
    expect(fleet.refusedSoses).toEqual([]);
  });

  it("a closed case leaves the open ones; a snapshot forgets what it does not name", () => {
    const fleet = useFleet();
    fleet.takeSnapshot(snapshot({ cases: [sos] }));
    expect(fleet.openKinds.get("t-0001")).toEqual(["sos"]);
    fleet.takeDeltas([{ kind: "case", case: { ...sos, status: "closed", closed_ms: NOW } }]);
    expect(fleet.openCases).toHaveLength(0);
    fleet.takeSnapshot(snapshot({ devices: [] }));
    expect(fleet.devices.size).toBe(0);
  });
});
