import type { Device } from "../src/api/types";

/** A terminal on duty, online, heard and positioned at `nowMs`; `changes` says what differs. */
export function device(nowMs: number, changes: Partial<Device> = {}): Device {
  return {
    id: "t-0001",
    kind: "terminal",
    name: "Terminal 1",
    area_code: "990101101201",
    wearer: "Li Wei",
    online: true,
    received_ms: nowMs,
    flags: [],
    state: { online: true, epoch: 1, boot: 1, connection: 1, duty: true },
    position: {
      device: "t-0001",
      at_ms: nowMs,
      received_ms: nowMs,
      lat_e6: 30_000_000,
      lon_e6: 120_000_000,
      speed_cms: null,
      course_deg: null,
      accuracy_m: null,
      clock: "gnss",
      late: false,
    },
    readings: {},
    ...changes,
  };
}
