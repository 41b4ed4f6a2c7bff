/** Names that devices and the server send, in words of the chosen language. */

import { ApiError } from "../api/client";
import type { Refused } from "../api/types";
import { i18n } from ".";

/** A refusal or failure as a person reads it. */
export function problemText(error: unknown): string {
  const { t, te } = i18n.global;
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const key = `problem.${error.code}`;
  return te(key) ? t(key, { ...error.details, message: error.message }) : error.message;
}

export function sensorText(sensor: string): string {
  return known(`sensor.${sensor}`, sensor);
}

/** A sensor's value with its unit (the wire's table of sensors has whole numbers only). */
export function valueText(sensor: string, value: number): string {
  const { t } = i18n.global;
  switch (sensor) {
    case "smoke":
      return `${value} ppm`;
    case "water_level":
      return `${value} mm`;
    case "temperature":
      return `${(value / 1000).toFixed(1)} °C`;
    case "humidity":
      return `${(value / 10).toFixed(1)} %`;
    case "battery":
      return `${value} mV`;
    case "door":
    case "motion":
    case "supply":
      return t(`sensorState.${sensor}${value === 0 ? "No" : "Yes"}`);
    default:
      return String(value);
  }
}

const CRASH = "crash_";
const SENSOR = "sensor_";

/** What is wrong with a device: a name of its own list of faults. */
export function faultText(fault: string): string {
  const { t } = i18n.global;
  if (fault.startsWith(CRASH)) return t("fault.crash", { task: fault.slice(CRASH.length) });
  if (fault.startsWith(SENSOR))
    return t("fault.sensor", { sensor: sensorText(fault.slice(SENSOR.length)) });
  return known(`fault.${fault}`, fault);
}

export function streamText(stream: string): string {
  return known(`stream.${stream}`, stream);
}

/** Why a device refused a command or failed at it; words that nobody foresaw stay as they are. */
export function reasonText(reason: string): string {
  return known(`reason.${reason.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_")}`, reason);
}

/** Why a gateway refused a message; its own words, in English, are for the district's IT. */
export function refusalText(row: Refused): string {
  return row.code === null ? row.reason : known(`refusal.${row.code}`, row.reason);
}

function known(key: string, otherwise: string): string {
  return i18n.global.te(key) ? i18n.global.t(key) : otherwise;
}
