/**
 * What may be said of a device, computed in one place so that no two screens disagree.
 *
 * The server judges what follows from a message; what comes with time alone is judged here, against
 * the server's clock: "stale", and "unprotected" of a terminal on duty that is stale.
 */

import type { Device, ServerFlag } from "../api/types";

export type Flag = "sos" | "alarm" | "stale" | ServerFlag;

/** Most urgent first: a list and a marker show the first, the detail panel shows all. */
const URGENCY: readonly Flag[] = [
  "sos",
  "alarm",
  "unprotected",
  "faulty",
  "dropped",
  "low_battery",
  "stale",
  "offline",
  "unseen",
  "muted",
  "off_duty",
];

/** When anything was last heard from the device, server's clock in ms; null: never. */
export function lastHeardMs(device: Device): number | null {
  const times = [device.received_ms, device.position?.received_ms ?? null];
  for (const reading of Object.values(device.readings)) times.push(reading.received_ms);
  const known = times.filter((time): time is number => time !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** Nothing was heard for longer than the server allows; a device never heard is "unseen". */
export function isStale(device: Device, nowMs: number, staleAfterS: number): boolean {
  const heardMs = lastHeardMs(device);
  return heardMs !== null && nowMs - heardMs > staleAfterS * 1000;
}

/** Every flag of a device, the most urgent first. */
export function flagsOf(
  device: Device,
  openKinds: readonly string[],
  nowMs: number,
  staleAfterS: number,
): Flag[] {
  const flags = new Set<Flag>(device.flags);
  if (openKinds.includes("sos")) flags.add("sos");
  if (openKinds.some((kind) => kind.startsWith("alarm:"))) flags.add("alarm");
  if (isStale(device, nowMs, staleAfterS)) {
    flags.add("stale");
    // It may still be called online: a will that was lost, a gateway that is down.
    if (device.kind === "terminal" && device.state?.duty === true) flags.add("unprotected");
  }
  return URGENCY.filter((flag) => flags.has(flag));
}
