/** Chinese and English, complete in both; the choice is kept in the browser. */

import { createI18n } from "vue-i18n";

import { en } from "./en";
import { zh } from "./zh";

export type Language = "zh" | "en";
const KEPT_AS = "xunhu.language";

function firstLanguage(): Language {
  const kept = localStorage.getItem(KEPT_AS);
  if (kept === "zh" || kept === "en") return kept;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

export const i18n = createI18n({
  legacy: false,
  locale: firstLanguage(),
  fallbackLocale: "en",
  messages: { en, zh },
});

export function setLanguage(language: Language): void {
  i18n.global.locale.value = language;
  localStorage.setItem(KEPT_AS, language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

export function language(): Language {
  return i18n.global.locale.value;
}
