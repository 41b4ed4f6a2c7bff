/** Turns what the console knows into the map's GeoJSON; no map needed, so it can be tested alone. */

import type { Feature, FeatureCollection } from "geojson";

import type { Case, Device } from "../api/types";
import { flagsOf, type Flag } from "../devices/truth";
import { placeOf } from "../sos/press";
import type { TrackPoint } from "../state/view";
import { pictureName } from "./markers";
import { COLOUR, type Look } from "./style";

const LOOKS: readonly [Flag, Look][] = [
  ["sos", "sos"],
  ["alarm", "alarm"],
  ["unprotected", "unprotected"],
  ["faulty", "attention"],
  ["low_battery", "attention"],
  ["offline", "offline"],
  ["unseen", "offline"],
  ["stale", "stale"],
];
/** Nothing is known of these right now: they are drawn hollow. */
const HOLLOW: readonly Flag[] = ["stale", "offline", "unseen"];

/** How a device is drawn: the most urgent of its flags decides. */
export function lookOf(flags: readonly Flag[]): Look {
  return LOOKS.find(([flag]) => flags.includes(flag))?.[1] ?? "ok";
}

export interface Scene {
  devices: Iterable<Device>;
  openKinds: ReadonlyMap<string, string[]>;
  selected: string | null;
  nowMs: number;
  staleAfterS: number;
  /** Where a device without a position of its own stands: its village's middle, or nowhere. */
  place: (device: Device) => [number, number] | null;
}

export function deviceFeatures(scene: Scene): FeatureCollection {
  const features: Feature[] = [];
  for (const device of scene.devices) {
    const at = device.position
      ? ([device.position.lon_e6 / 1e6, device.position.lat_e6 / 1e6] as [number, number])
      : scene.place(device);
    if (at === null) continue;
    const flags = flagsOf(
      device,
      scene.openKinds.get(device.id) ?? [],
      scene.nowMs,
      scene.staleAfterS,
    );
    const look = lookOf(flags);
    const stale = flags.some((flag) => HOLLOW.includes(flag)) || isOldPlace(device, scene);
    const urgency = LOOKS.findIndex(([, name]) => name === look);
    features.push({
      type: "Feature",
      geometry: { type: "Point", coordinates: at },
      properties: {
        id: device.id,
        name: device.wearer ?? device.name,
        kind: device.kind,
        look,
        colour: COLOUR[look],
        icon: pictureName(look, stale),
        stale,
        selected: device.id === scene.selected,
        // Urgent ones are drawn last, on top of everything.
        rank: urgency < 0 ? 0 : LOOKS.length - urgency,
      },
    });
  }
  return { type: "FeatureCollection", features };
}

/** Its terminal may speak, off duty or without a fix: where it stands is not known all the same. */
function isOldPlace(device: Device, { nowMs, staleAfterS }: Scene): boolean {
  return device.position !== null && nowMs - device.position.received_ms > staleAfterS * 1000;
}

/** Where each open SOS was pressed, if its terminal knew: perhaps not where its wearer is now. */
export function pressFeatures(cases: Iterable<Case>): FeatureCollection {
  const features: Feature[] = [];
  for (const row of cases) {
    const place = row.kind === "sos" ? placeOf(row) : null;
    if (place === null) continue;
    features.push({
      type: "Feature",
      geometry: { type: "Point", coordinates: [place.lon, place.lat] },
      properties: { case: row.id },
    });
  }
  return { type: "FeatureCollection", features };
}

/** A line for each piece of a track, and a point where a piece is a single fix. */
export function trackFeatures(pieces: readonly TrackPoint[][]): FeatureCollection {
  return {
    type: "FeatureCollection",
    features: pieces.map((piece) => {
      const coordinates = piece.map(({ lon, lat }) => [lon, lat]);
      return {
        type: "Feature",
        properties: {},
        geometry:
          coordinates.length === 1
            ? { type: "Point", coordinates: coordinates[0] ?? [] }
            : { type: "LineString", coordinates },
      };
    }),
  };
}

export function pointFeature(point: TrackPoint | null): FeatureCollection {
  if (point === null) return { type: "FeatureCollection", features: [] };
  const geometry = { type: "Point" as const, coordinates: [point.lon, point.lat] };
  return { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry }] };
}
