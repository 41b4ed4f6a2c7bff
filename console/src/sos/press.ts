/** What the press of an SOS says: a cancel or a clearing event after it does not hide it. */

import type { Case, DeviceEvent } from "../api/types";

export interface Place {
  lon: number;
  lat: number;
}

interface Fix {
  lat: number;
  lon: number;
}

/** The newest press of the case; null while none is known. */
export function pressOf(row: Case): DeviceEvent | null {
  return [row.last_event, row.first_event].find((event) => event?.kind === "sos") ?? null;
}

/** Where it was pressed; null without a fix. */
export function placeOf(row: Case): Place | null {
  const fix = pressOf(row)?.body["fix"] as Fix | null | undefined;
  return fix ? { lon: fix.lon / 1e6, lat: fix.lat / 1e6 } : null;
}

/** The time at which the case began is no date: its terminal did not know the time. */
export function isUndated(row: Case): boolean {
  return (row.first_event ?? row.last_event)?.clock === "none";
}
