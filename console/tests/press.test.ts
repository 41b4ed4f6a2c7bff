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
