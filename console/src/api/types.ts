/** What the fleet API says, as it says it. Times are Unix ms, coordinates WGS-84 in 1e-6 degree. */

export interface Position {
  device: string;
  at_ms: number;
  lat_e6: number;
  lon_e6: number;
  speed_cms: number | null;
  course_deg: number | null;
  accuracy_m: number | null;
  /** Quality "none": at_ms is no date, and is shown as undated. */
  clock: ClockQuality;
  received_ms: number;
  late: boolean;
}

export type ClockQuality = "none" | "rtc" | "server" | "gnss";

/** What a device says of itself; the last will carries only the first four. */
export interface DeviceState {
  online: boolean;
  epoch: number;
  boot: number;
  connection: number;
  at?: number;
  clock?: ClockQuality;
  version?: string;
  battery_mv?: number;
  battery_percent?: number | null;
  rssi_dbm?: number | null;
  heap_free?: number;
  reset?: string;
  duty?: boolean | null;
  sos?: { incident: number; shown: string } | null;
  fix_age_s?: number | null;
  held?: Record<string, number>;
  dropped?: number;
  faults?: string[];
  muted?: Record<string, number>;
}

export interface SensorReading {
  value: number;
  at_ms: number;
  received_ms: number;
}

/** The server's judgement of a device; "stale" is the browser's, because it comes with time alone. */
export type ServerFlag =
  | "offline"
  | "unseen"
  | "off_duty"
  | "unprotected"
  | "faulty"
  | "dropped"
  | "low_battery"
  | "muted";

export interface Device {
  id: string;
  kind: "terminal" | "sensor_node";
  name: string;
  area_code: string | null;
  wearer: string | null;
  online: boolean;
  state: DeviceState | null;
  /** When the last state came; null: never heard. */
  received_ms: number | null;
  flags: ServerFlag[];
  position: Position | null;
  readings: Record<string, SensorReading>;
}

export interface Case {
  id: number;
  device: string;
  kind: string;
  epoch: number;
  incident: number;
  status: "reported" | "taken" | "closed";
  opened_at_ms: number;
  opened_received_ms: number;
  late: boolean;
  presses: number;
  /** So many of them somebody took; fewer than `presses`: it alerts. */
  acknowledged_presses: number;
  cancelled_ms: number | null;
  /** An alarm's value fell back. */
  cleared_ms: number | null;
  taken_by: string | null;
  taken_ms: number | null;
  closed_by: string | null;
  closed_ms: number | null;
  close_reason: string | null;
  device_name: string;
  area_code: string | null;
  wearer: string | null;
  /** What opened it: the clock and place of `opened_at_ms`; null: overtaken by a later press. */
  first_event: DeviceEvent | null;
  last_event: DeviceEvent | null;
}

export interface DeviceEvent {
  id: number;
  device: string;
  kind: string;
  at_ms: number;
  clock: ClockQuality;
  received_ms: number;
  late: boolean;
  body: Record<string, unknown>;
  case_id: number | null;
}

/** A message that a gateway refused; of an SOS until somebody has seen it. */
export interface Refused {
  id: number;
  device: string;
  device_name: string | null;
  wearer: string | null;
  area_code: string | null;
  stream: string;
  kind: string | null;
  code: string | null;
  reason: string;
  received_ms: number;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
}

export interface Command {
  id: string;
  device: string;
  topic: string;
  kind: string;
  body: Record<string, unknown>;
  ttl_s: number;
  created_ms: number;
  created_by: string;
  status: string;
  sent_ms: number | null;
  delivered_ms: number | null;
  finished_ms: number | null;
  reason: string | null;
}

export interface Area {
  code: string;
  name_zh: string;
  name_en: string;
  level: "district" | "township" | "village";
  parent_code: string | null;
  lat_e6: number | null;
  lon_e6: number | null;
}

export type Delta =
  | ({ kind: "position" } & Position)
  | {
      kind: "state";
      device: string;
      online: boolean;
      received_ms: number;
      state: DeviceState;
      flags: ServerFlag[];
    }
  | { kind: "event"; event: DeviceEvent }
  | { kind: "case"; case: Case }
  | { kind: "refused"; refused: Refused }
  | {
      kind: "reading";
      device: string;
      sensor: string;
      value: number;
      at_ms: number;
      received_ms: number;
    }
  | { kind: "command"; command: Command }
  | { kind: "device"; device: Device };

export interface Snapshot {
  type: "snapshot";
  seq: number;
  at_ms: number;
  devices: Device[];
  cases: Case[];
  /** Refused SOSes that nobody has seen. */
  refused: Refused[];
  areas: Area[];
  stale_after_s: number;
  /** False: the broker is away, positions stand still. */
  bus: boolean;
  /** False: the telemetry store is away. */
  telemetry: boolean;
}

export type LiveMessage =
  | Snapshot
  | { type: "delta"; seq: number; at_ms: number; deltas: Delta[] }
  | { type: "ping"; at_ms: number }
  | { type: "status"; bus: boolean; telemetry: boolean };
