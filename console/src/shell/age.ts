/** Times for people: ages in one unit, moments in the browser's own time zone. */

import type { Language } from "../i18n";

type Translate = (key: string, values: Record<string, unknown>) => string;

/** Return "12 s", "5 min", "3 h" or "2 d"; whole units, rounded down. */
export function ageText(ageMs: number, t: Translate): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000));
  if (seconds < 100) return t("age.seconds", { n: seconds });
  if (seconds < 100 * 60) return t("age.minutes", { n: Math.floor(seconds / 60) });
  if (seconds < 48 * 3600) return t("age.hours", { n: Math.floor(seconds / 3600) });
  return t("age.days", { n: Math.floor(seconds / 86400) });
}

/** Return a moment with its date only when it was not today. */
export function momentText(atMs: number, nowMs: number, language: Language): string {
  const moment = new Date(atMs);
  const isToday = moment.toDateString() === new Date(nowMs).toDateString();
  const locale = language === "zh" ? "zh-CN" : "en-GB";
  return isToday
    ? moment.toLocaleTimeString(locale)
    : moment.toLocaleString(locale, { dateStyle: "medium", timeStyle: "medium" });
}
