/** What a case is called, in words of the chosen language. */

import { useI18n } from "vue-i18n";

import type { Case } from "../api/types";
import { sensorText } from "../i18n/words";

export function useCaseTitle(): (row: Case) => string {
  const { t } = useI18n();
  return (row) => {
    if (!row.kind.startsWith("alarm:")) return t("case.sos");
    const sensor = row.kind.slice("alarm:".length);
    return t("case.alarm", { sensor: sensorText(sensor) });
  };
}
