import { describe, expect, it } from "vitest";

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
