import { describe, expect, it } from "vitest";

import type { Device } from "../src/api/types";
import { flagsOf, isStale, lastHeardMs } from "../src/devices/truth";
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
