/** Rings and notifies while an SOS or alarm is open that nobody has taken. */

import { computed, onMounted, onUnmounted, watch } from "vue";
import { useI18n } from "vue-i18n";

import { useAreaName } from "../devices/area_name";
import { useFleet } from "../state/fleet";
import { alarmSound } from "./alarm_sound";
import { useCaseTitle } from "./case_text";
import { notify } from "./notification";

export function useRinging(): void {
  const { t } = useI18n();
  const fleet = useFleet();
  const areaName = useAreaName();
  const caseTitle = useCaseTitle();
  const waiting = computed(() => fleet.openCases.filter((row) => row.status === "reported"));

  onMounted(() => alarmSound.probe());
  onUnmounted(() => alarmSound.ring(false));
  watch(waiting, (rows) => alarmSound.ring(rows.length > 0), { immediate: true });
  // A further press in an open case alerts again: the number of presses is part of the name.
  const alerts = computed(() => waiting.value.map((row) => `${row.id}/${row.presses}`));
  watch(alerts, (_now, before) => {
    const known = new Set(before ?? []);
    for (const row of waiting.value) {
      if (known.has(`${row.id}/${row.presses}`)) continue;
      alarmSound.chime();
      notify(
        t("notify.title", { case: caseTitle(row), name: row.wearer ?? row.device_name }),
        t("notify.body", { village: areaName(row.area_code) }),
        `case-${row.id}`,
      );
    }
  });
}
