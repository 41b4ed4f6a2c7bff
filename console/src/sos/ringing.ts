/** Rings and notifies while an SOS or alarm is open that nobody has taken, or an SOS refused. */

import { computed, onMounted, onUnmounted, watch } from "vue";
import { useI18n } from "vue-i18n";

import { useAreaName } from "../devices/area_name";
import { useFleet } from "../state/fleet";
import { alarmSound } from "./alarm_sound";
import { useCaseTitle } from "./case_text";
import { notify } from "./notification";
import { isPressedAgain, isWaiting } from "./waiting";

export function useRinging(): void {
  const { t } = useI18n();
  const fleet = useFleet();
  const areaName = useAreaName();
  const caseTitle = useCaseTitle();
  const waiting = computed(() => fleet.openCases.filter(isWaiting));

  onMounted(() => alarmSound.probe());
  onUnmounted(() => alarmSound.ring(false));
  watch(
    () => waiting.value.length + fleet.refusedSoses.length > 0,
    (isWanted) => alarmSound.ring(isWanted),
    { immediate: true },
  );
  watch(
    () => fleet.refusedSoses.map((row) => row.id),
    (_now, before) => {
      const known = new Set(before ?? []);
      for (const row of fleet.refusedSoses) {
        if (known.has(row.id)) continue;
        alarmSound.chime();
        notify(
          t("refused.title"),
          t("refused.notify", { name: row.wearer ?? row.device_name ?? row.device }),
          `refused-${row.device}`,
        );
      }
    },
  );
  // A further press in an open case alerts again: the number of presses is part of the name.
  const alerts = computed(() => waiting.value.map((row) => `${row.id}/${row.presses}`));
  watch(alerts, (_now, before) => {
    const known = new Set(before ?? []);
    for (const row of waiting.value) {
      if (known.has(`${row.id}/${row.presses}`)) continue;
      alarmSound.chime();
      notify(
        t("notify.title", { case: caseTitle(row), name: row.wearer ?? row.device_name }),
        isPressedAgain(row)
          ? t("notify.again", { village: areaName(row.area_code), name: row.taken_by ?? "" })
          : t("notify.body", { village: areaName(row.area_code) }),
        `case-${row.id}`,
      );
    }
  });
}
