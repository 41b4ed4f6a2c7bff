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

/** A batch of fixes is up to a minute old when it arrives; LATE begins at the same minute. */
const CLOCK_OFF_MS = 120_000;
/** What was received by another clock than the server's of today says nothing about this one. */
const HEARD_WITHIN_MS = 1_200_000;
/** One receiver can be wrong; the server is accused by the middle one of at least so many. */
const WITNESSES_MIN = 3;

/**
 * How much the server's clock is ahead of the satellites' time, ms; 0: not told apart from right.
 *
 * Each device that is online and has its time from satellites is a witness: what it said was on its
 * way for as long as its time lies behind the server's. A delay is never less than nothing and for
 * most of them short, so the middle of all is the server's own fault.
 */
export function serverClockOffMs(devices: readonly Device[], nowMs: number): number {
  const ways = devices.map((device) => shortestWayMs(device, nowMs)).filter((way) => way !== null);
  if (ways.length < WITNESSES_MIN) return 0;
  const middle = ways.sort((a, b) => a - b)[Math.floor(ways.length / 2)] as number;
  return Math.abs(middle) > CLOCK_OFF_MS ? middle : 0;
}

/** How long the quicker of its state and its newest fix was on its way; null: no witness. */
function shortestWayMs(device: Device, nowMs: number): number | null {
  if (!device.online) return null;
  const { state, position } = device;
  const ways = [
    state?.clock === "gnss" ? wayMs(state.at, device.received_ms, nowMs) : null,
    position?.clock === "gnss" ? wayMs(position.at_ms, position.received_ms, nowMs) : null,
  ].filter((way) => way !== null);
  return ways.length === 0 ? null : Math.min(...ways);
}

function wayMs(atMs: number | undefined, receivedMs: number | null, nowMs: number): number | null {
  if (atMs === undefined || receivedMs === null) return null;
  return Math.abs(nowMs - receivedMs) < HEARD_WITHIN_MS ? receivedMs - atMs : null;
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
