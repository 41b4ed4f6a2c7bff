/** The fleet as the live stream tells it: one snapshot, then deltas applied in order. */

import { defineStore } from "pinia";
import { computed, reactive, ref } from "vue";

import type {
  Area,
  Case,
  Command,
  Delta,
  Device,
  DeviceEvent,
  Refused,
  Snapshot,
} from "../api/types";

/** Newest first; older ones are read from the API when somebody asks. */
export const RECENT_EVENTS_MAX = 200;
/** A case goes through these once, in this order. */
const CASE_STEPS: readonly Case["status"][] = ["reported", "taken", "closed"];

export const useFleet = defineStore("fleet", () => {
  const devices = reactive(new Map<string, Device>());
  const cases = reactive(new Map<number, Case>());
  const refused = reactive(new Map<number, Refused>());
  const areas = reactive(new Map<string, Area>());
  const commands = reactive(new Map<string, Command>());
  const events = ref<DeviceEvent[]>([]);
  const staleAfterS = ref(120);
  const isLive = ref(false);
  /** What the server cannot see right now; shown, never hidden. */
  const bus = ref(true);
  const telemetry = ref(true);
  /** The server's clock minus ours, ms: ages are counted by one clock, the server's. */
  const clockOffsetMs = ref(0);

  const openCases = computed(() =>
    [...cases.values()]
      .filter((row) => row.closed_ms === null)
      // Who called for help comes before what a sensor says; then whoever waits longest.
      .sort(
        (a, b) =>
          Number(b.kind === "sos") - Number(a.kind === "sos") ||
          a.opened_received_ms - b.opened_received_ms,
      ),
  );
  /** Of each device the newest refused SOS: two gateways refuse the same one. */
  const refusedSoses = computed(() => {
    const newest = new Map<string, Refused>();
    for (const row of [...refused.values()].sort((a, b) => a.id - b.id))
      newest.set(row.device, row);
    return [...newest.values()];
  });
  const openKinds = computed(() => {
    const kinds = new Map<string, string[]>();
    for (const row of openCases.value)
      kinds.set(row.device, [...(kinds.get(row.device) ?? []), row.kind]);
    return kinds;
  });

  function takeSnapshot(snapshot: Snapshot): void {
    takeClock(snapshot.at_ms);
    staleAfterS.value = snapshot.stale_after_s;
    takeStatus(snapshot.bus, snapshot.telemetry);
    replace(devices, snapshot.devices, (row) => row.id);
    replace(cases, snapshot.cases, (row) => row.id);
    replace(refused, snapshot.refused, (row) => row.id);
    replace(areas, snapshot.areas, (row) => row.code);
  }

  function takeStatus(isBusUp: boolean, isTelemetryUp: boolean): void {
    bus.value = isBusUp;
    telemetry.value = isTelemetryUp;
  }

  /** The server's clock as it just told it: somebody may set it while we look. */
  function takeClock(serverMs: number): void {
    clockOffsetMs.value = serverMs - Date.now();
  }

  /** Forget everything: the next person who signs in here may see less. */
  function clear(): void {
    for (const rows of [devices, cases, refused, areas, commands]) rows.clear();
    events.value = [];
  }

  function takeDeltas(deltas: Delta[]): void {
    for (const delta of deltas) takeDelta(delta);
  }

  /** Add events, each once, newest first; the oldest go beyond RECENT_EVENTS_MAX. */
  function takeEvents(rows: DeviceEvent[]): void {
    const byId = new Map([...events.value, ...rows].map((row) => [row.id, row]));
    events.value = [...byId.values()].sort((a, b) => b.id - a.id).slice(0, RECENT_EVENTS_MAX);
  }

  /**
   * What a request of our own answered. The live stream may have been quicker and be further on
   * already: an answer never takes anything back.
   */
  function takeAnswer(answer: { command: Command } | { case: Case }): void {
    if ("command" in answer) {
      if (!commands.has(answer.command.id)) commands.set(answer.command.id, answer.command);
      return;
    }
    const known = cases.get(answer.case.id);
    if (known === undefined || isFurther(answer.case, known))
      cases.set(answer.case.id, answer.case);
  }

  function takeDelta(delta: Delta): void {
    switch (delta.kind) {
      case "case":
        cases.set(delta.case.id, delta.case);
        break;
      case "refused":
        takeRefused(delta.refused);
        break;
      case "event":
        takeEvents([delta.event]);
        break;
      case "command":
        commands.set(delta.command.id, delta.command);
        break;
      case "device":
        devices.set(delta.device.id, { ...devices.get(delta.device.id), ...delta.device });
        break;
      default:
        takeDeviceDelta(delta);
    }
  }

  function takeRefused(row: Refused): void {
    if (row.acknowledged_ms === null) refused.set(row.id, row);
    else refused.delete(row.id);
  }

  function takeDeviceDelta(delta: Extract<Delta, { device: string }>): void {
    const device = devices.get(delta.device);
    if (device === undefined) return;
    if (delta.kind === "position") {
      // Which position is the newest is decided where the device's own count is known, in the
      // store and by its rule on the server. Its time does not say: clocks are put right.
      device.position = delta;
    } else if (delta.kind === "state") {
      device.online = delta.online;
      device.received_ms = delta.received_ms;
      device.flags = delta.flags;
      // The will carries no more than "offline": what was known before stays, shown with its age.
      device.state = { ...device.state, ...delta.state };
    } else if (delta.kind === "reading") {
      device.readings[delta.sensor] = delta;
    }
  }

  return {
    devices, cases, areas, commands, events, staleAfterS, isLive, bus, telemetry, clockOffsetMs,
    openCases, openKinds, refusedSoses, takeRefused, clear, takeSnapshot, takeStatus, takeClock,
    takeDeltas, takeEvents, takeAnswer,
  }; // prettier-ignore
});

/** `row` says nothing less than `known`: of its step, its presses, and who acknowledged them. */
function isFurther(row: Case, known: Case): boolean {
  const step = CASE_STEPS.indexOf(row.status) - CASE_STEPS.indexOf(known.status);
  return (
    step >= 0 &&
    row.presses >= known.presses &&
    row.acknowledged_presses >= known.acknowledged_presses
  );
}

function replace<K, V>(into: Map<K, V>, rows: V[], key: (row: V) => K): void {
  into.clear();
  for (const row of rows) into.set(key(row), row);
}
