import { describe, expect, it } from "vitest";

import type { Device } from "../src/api/types";
import { flagsOf, isStale, lastHeardMs, serverClockOffMs } from "../src/devices/truth";
import { lookOf } from "../src/map/features";
import { device } from "./devices";

const NOW = 1_795_000_000_000;
const STALE_AFTER_S = 300;

describe("what is said of a device", () => {
  it("is not stale at the limit and is one millisecond later", () => {
    expect(isStale(device(NOW - STALE_AFTER_S * 1000), NOW, STALE_AFTER_S)).toBe(false);
    expect(isStale(device(NOW - STALE_AFTER_S * 1000 - 1), NOW, STALE_AFTER_S)).toBe(true);
  });

  it("a terminal on duty that is stale is unprotected, online or not", () => {
    const flags = (changes: Partial<Device>) =>
      flagsOf(device(NOW - 301_000, changes), [], NOW, STALE_AFTER_S);
    expect(flags({})).toEqual(["unprotected", "stale"]);
    expect(lookOf(flags({}))).toBe("unprotected");
    expect(flags({ kind: "sensor_node" })).toEqual(["stale"]);
    const state = { online: true, epoch: 1, boot: 1, connection: 1, duty: false };
    expect(flags({ state, flags: ["off_duty"] })).toEqual(["stale", "off_duty"]);
    expect(flagsOf(device(NOW), [], NOW, STALE_AFTER_S)).toEqual([]);
  });

  it("a device that was never heard is not called stale", () => {
    const never = device(NOW, { received_ms: null, position: null, flags: ["unseen"] });
    expect(lastHeardMs(never)).toBeNull();
    expect(flagsOf(never, [], NOW, STALE_AFTER_S)).toEqual(["unseen"]);
  });

  it("a reading is a sign of life", () => {
    const node = device(NOW, {
      received_ms: NOW - 900_000,
      position: null,
      readings: { smoke: { value: 3, at_ms: 0, received_ms: NOW - 1000 } },
    });
    expect(isStale(node, NOW, STALE_AFTER_S)).toBe(false);
  });

  it("SOS comes before everything else", () => {
    const flags = flagsOf(
      device(NOW, { flags: ["offline", "unprotected"] }),
      ["alarm:smoke", "sos"],
      NOW,
      STALE_AFTER_S,
    );
    expect(flags).toEqual(["sos", "alarm", "unprotected", "offline"]);
    expect(lookOf(flags)).toBe("sos");
  });
});

describe("the server's clock", () => {
  const YEAR_MS = 365 * 86_400_000;
  const place = device(NOW).position;
  /** Terminals whose last fix is from `wayMs` before it was received, with satellite time. */
  const fleetOf = (ways: number[], changes: Partial<Device> = {}) =>
    ways.map((wayMs) =>
      device(NOW, { position: place && { ...place, at_ms: NOW - wayMs }, ...changes }),
    );

  it("is not accused by batches that were on their way for a minute", () => {
    expect(serverClockOffMs(fleetOf([65_000, 3_000, 60_000]), NOW)).toBe(0);
  });

  it("is a year off when satellites say so, in both directions", () => {
    expect(serverClockOffMs(fleetOf([YEAR_MS, YEAR_MS + 1, YEAR_MS + 2]), NOW)).toBe(YEAR_MS + 1);
    expect(serverClockOffMs(fleetOf([-YEAR_MS, -YEAR_MS, -YEAR_MS]), NOW)).toBe(-YEAR_MS);
  });

  it("is not accused by two, or by one that came back after a day", () => {
    expect(serverClockOffMs(fleetOf([YEAR_MS, YEAR_MS]), NOW)).toBe(0);
    expect(serverClockOffMs(fleetOf([86_400_000, 3_000, 5_000]), NOW)).toBe(0);
  });

  it("is believed again as soon as it was set", () => {
    expect(serverClockOffMs(fleetOf([YEAR_MS, YEAR_MS, YEAR_MS]), NOW - YEAR_MS)).toBe(0);
  });

  it("is not accused by who is offline or has the time from the server itself", () => {
    const ways = [YEAR_MS, YEAR_MS, YEAR_MS];
    expect(serverClockOffMs(fleetOf(ways, { online: false }), NOW)).toBe(0);
    const told = fleetOf(ways).map((row) =>
      device(NOW, { position: row.position && { ...row.position, clock: "server" } }),
    );
    expect(serverClockOffMs(told, NOW)).toBe(0);
  });

  it("is acquitted by fresh states where the fixes are old", () => {
    const state = { online: true, epoch: 1, boot: 1, connection: 1, at: NOW, clock: "gnss" };
    const fresh = fleetOf([900_000, 900_000, 900_000], { state: state as Device["state"] });
    expect(serverClockOffMs(fresh, NOW)).toBe(0);
  });
});
