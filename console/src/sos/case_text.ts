/** What a case is called, in words of the chosen language. */

import { useI18n } from "vue-i18n";

import type { Case } from "../api/types";

export function useCaseTitle(): (row: Case) => string {
  const { t, te } = useI18n();
  return (row) => {
    if (!row.kind.startsWith("alarm:")) return t("case.sos");
    const sensor = row.kind.slice("alarm:".length);
    return t("case.alarm", { sensor: te(`sensor.${sensor}`) ? t(`sensor.${sensor}`) : sensor });
  };
}
