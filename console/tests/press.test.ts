import { describe, expect, it } from "vitest";

import type { Case, DeviceEvent } from "../src/api/types";
import { deviceFeatures, pressFeatures } from "../src/map/features";
import { pictures } from "../src/map/markers";
import { isUndated, placeOf, pressOf } from "../src/sos/press";
import { device } from "./devices";

const NOW = 1_795_000_000_000;
const fix = { lat: 30_000_000, lon: 120_000_000 };
const press = {
  id: 1,
  kind: "sos",
  clock: "gnss",
  body: { press: 1, fix },
} as unknown as DeviceEvent;
const cancel = { id: 2, kind: "sos_cancel", clock: "gnss", body: {} } as unknown as DeviceEvent;

function sos(changes: Partial<Case> = {}): Case {
  return { id: 3, kind: "sos", first_event: press, last_event: press, ...changes } as Case;
}

describe("the press of an SOS", () => {
  it("is known after the wearer's cancel, with its place", () => {
    const row = sos({ last_event: cancel });
    expect(pressOf(row)).toBe(press);
    expect(placeOf(row)).toEqual({ lat: 30, lon: 120 });
    expect(pressFeatures([row]).features).toHaveLength(1);
  });

  it("without a fix has no place and is drawn nowhere", () => {
    const lost = { ...press, body: { press: 1, fix: null } };
    const row = sos({ first_event: lost, last_event: lost });
    expect(placeOf(row)).toBeNull();
    expect(pressFeatures([row]).features).toEqual([]);
  });

  it("says whether the case's time is a date, whatever a later press knew", () => {
    const undated = { ...press, clock: "none" as const };
    expect(isUndated(sos({ first_event: undated }))).toBe(true);
    expect(isUndated(sos({ last_event: undated }))).toBe(false);
    expect(isUndated(sos({ first_event: null, last_event: undated }))).toBe(true);
  });
});

describe("the markers", () => {
  it("the most urgent is drawn on top, and one never heard is not shown as well", () => {
    const scene = { openKinds: new Map([["t-2", ["sos"]]]), selected: null, staleAfterS: 300 };
    const features = deviceFeatures({
      ...scene,
      nowMs: NOW,
      place: () => [0, 0],
      devices: [
        device(NOW, { id: "t-1" }),
        device(NOW, { id: "t-2" }),
        device(NOW, { id: "t-3", flags: ["unprotected"] }),
        device(NOW, {
          id: "s-4",
          kind: "sensor_node",
          received_ms: null,
          position: null,
          flags: ["unseen"],
        }),
      ],
    }).features.map((feature) => feature.properties);
    const byRank = [...features].sort((a, b) => Number(b?.["rank"]) - Number(a?.["rank"]));
    expect(byRank.map((row) => row?.["id"])).toEqual(["t-2", "t-3", "s-4", "t-1"]);
    expect(features[3]).toMatchObject({ look: "offline", stale: true });
  });

  it("a terminal that speaks without telling where it is stands there hollow", () => {
    const scene = { openKinds: new Map(), selected: null, staleAfterS: 300, place: () => null };
    const devices = [device(NOW, { received_ms: NOW + 301_000 })];
    const hollow = (nowMs: number) =>
      deviceFeatures({ ...scene, devices, nowMs }).features[0]?.properties?.["stale"] as boolean;
    expect(hollow(NOW + 300_000)).toBe(false);
    expect(hollow(NOW + 300_001)).toBe(true);
  });

  it("there is a picture for every sensor node that can be on the map", () => {
    const scene = { openKinds: new Map(), selected: null, staleAfterS: 300, place: () => null };
    const made = pictures();
    for (const flags of [[], ["offline"], ["faulty"], ["low_battery"], ["unprotected"]] as const) {
      const devices = [device(NOW, { kind: "sensor_node", flags: [...flags] })];
      for (const nowMs of [NOW, NOW + 301_000]) {
        const [feature] = deviceFeatures({ ...scene, devices, nowMs }).features;
        expect(made.has(String(feature?.properties?.["icon"])), flags.join()).toBe(true);
        expect(feature?.properties?.["kind"]).toBe("sensor_node");
      }
    }
  });
});
