/** What the operator looks at: the selected device, its track, the clock that ages are counted by. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";

import { useFleet } from "./fleet";

export interface TrackPoint {
  lon: number;
  lat: number;
  atMs: number;
  speedCms: number | null;
}

/** Ages are shown in seconds, so one tick a second is enough for every one of them. */
const TICK_MS = 1000;

export const useView = defineStore("view", () => {
  const fleet = useFleet();
  const selected = ref<string | null>(null);
  /** Counts up when the map is to move to the selected device. */
  const flights = ref(0);
  /** Pieces without long gaps: no line is drawn where nobody knows the way. */
  const track = ref<TrackPoint[][]>([]);
  const trackCursor = ref<TrackPoint | null>(null);
  const browserMs = ref(Date.now());
  setInterval(() => (browserMs.value = Date.now()), TICK_MS);
  const nowMs = computed(() => browserMs.value + fleet.clockOffsetMs);

  function select(device: string | null, fly = false): void {
    if (selected.value !== device) clearTrack();
    selected.value = device;
    if (fly) flights.value += 1;
  }

  function clearTrack(): void {
    track.value = [];
    trackCursor.value = null;
  }

  return { selected, flights, track, trackCursor, nowMs, select, clearTrack };
});
