/** One device's track of a period, as the API's GeoJSON pieces. */

import { request } from "../api/client";
import type { TrackPoint } from "../state/view";

interface TrackFeature {
  geometry:
    | { type: "LineString"; coordinates: [number, number][] }
    | { type: "Point"; coordinates: [number, number] };
  properties: { times_ms: number[]; speeds_cms: (number | null)[] };
}

/** Load a track; one inner list for each piece without a long gap. */
export async function loadTrack(
  device: string,
  fromMs: number,
  toMs: number,
): Promise<TrackPoint[][]> {
  const path = `/devices/${device}/track?from_ms=${Math.floor(fromMs)}&to_ms=${Math.floor(toMs)}&format=geojson`;
  const answer = await request<{ features: TrackFeature[] }>("GET", path);
  return answer.features.map(({ geometry, properties }) => {
    const coordinates = geometry.type === "Point" ? [geometry.coordinates] : geometry.coordinates;
    return coordinates.map(([lon, lat], index) => ({
      lon,
      lat,
      atMs: properties.times_ms[index] ?? 0,
      speedCms: properties.speeds_cms[index] ?? null,
    }));
  });
}
