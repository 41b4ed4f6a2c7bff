/**
 * The map's layers. No base map is built in: village borders are the operator's own file, and all
 * text is drawn with the browser's own fonts, so nothing is asked of any other server.
 */

import type { StyleSpecification } from "maplibre-gl";

/** A village's name below this zoom would cover its neighbours. */
const NAMES_FROM_ZOOM = 11;
const FONT = ["sans-serif"];

const EMPTY = { type: "FeatureCollection" as const, features: [] };

/** Marker colours by the device's most urgent flag; red is for people in danger alone. */
export const COLOUR = {
  sos: "#c62828",
  alarm: "#e65100",
  unprotected: "#8e24aa",
  attention: "#b26a00",
  stale: "#9aa5b1",
  offline: "#6b7280",
  ok: "#1f6f54",
} as const;

export type Look = keyof typeof COLOUR;

/** The layers that a click finds a device in. */
export const DEVICE_LAYERS = ["terminal", "sensor"] as const;

export function mapStyle(): StyleSpecification {
  return {
    version: 8,
    sources: {
      villages: { type: "geojson", data: EMPTY, promoteId: "code" },
      names: { type: "geojson", data: EMPTY },
      devices: { type: "geojson", data: EMPTY, promoteId: "id" },
      track: { type: "geojson", data: EMPTY },
      cursor: { type: "geojson", data: EMPTY },
      presses: { type: "geojson", data: EMPTY },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#eef1ec" } },
      {
        id: "village-fill",
        type: "fill",
        source: "villages",
        paint: { "fill-color": "#dfe8dc", "fill-opacity": 0.8 },
      },
      {
        id: "village-border",
        type: "line",
        source: "villages",
        paint: { "line-color": "#a9b8a5", "line-width": 1 },
      },
      {
        id: "village-name",
        type: "symbol",
        source: "names",
        minzoom: NAMES_FROM_ZOOM,
        // Above the village's middle, where its sensor nodes stand.
        layout: {
          "text-field": ["get", "name"],
          "text-size": 12,
          "text-font": FONT,
          "text-anchor": "bottom",
          "text-offset": [0, -1.2],
        },
        paint: { "text-color": "#52605a", "text-halo-color": "#eef1ec", "text-halo-width": 1.5 },
      },
      {
        id: "track-line",
        type: "line",
        source: "track",
        paint: { "line-color": "#1565c0", "line-width": 3 },
      },
      {
        id: "track-fix",
        type: "circle",
        source: "track",
        filter: ["==", ["geometry-type"], "Point"],
        paint: { "circle-radius": 3, "circle-color": "#1565c0" },
      },
      {
        // Below the markers: a name may be covered, a person never.
        id: "device-name",
        type: "symbol",
        source: "devices",
        minzoom: NAMES_FROM_ZOOM,
        layout: {
          "text-field": ["get", "name"],
          "text-size": 12,
          "text-font": FONT,
          "text-offset": [0, 1.2],
          "text-anchor": "top",
        },
        paint: { "text-color": "#111827", "text-halo-color": "#ffffff", "text-halo-width": 1.5 },
      },
      {
        id: "device-halo",
        type: "circle",
        source: "devices",
        filter: ["in", ["get", "look"], ["literal", ["sos", "alarm"]]],
        paint: {
          "circle-radius": 18,
          "circle-color": ["get", "colour"],
          "circle-opacity": 0.3,
        },
      },
      {
        id: "sensor",
        type: "symbol",
        source: "devices",
        filter: ["==", ["get", "kind"], "sensor_node"],
        layout: {
          "icon-image": ["get", "icon"],
          "icon-size": ["case", ["get", "selected"], 1.4, 1],
          // Nothing may hide a marker, whatever stands beside it.
          "icon-allow-overlap": true,
          "icon-ignore-placement": true,
          "symbol-sort-key": ["get", "rank"],
        },
      },
      {
        id: "terminal",
        type: "circle",
        source: "devices",
        filter: ["==", ["get", "kind"], "terminal"],
        layout: { "circle-sort-key": ["get", "rank"] },
        paint: {
          "circle-radius": ["case", ["get", "selected"], 10, 7],
          "circle-color": ["get", "colour"],
          // A hollow marker: the position is old, whoever looks should see that at once.
          "circle-opacity": ["case", ["get", "stale"], 0.25, 1],
          "circle-stroke-color": ["case", ["get", "stale"], ["get", "colour"], "#ffffff"],
          "circle-stroke-width": 2,
        },
      },
      {
        id: "press",
        type: "circle",
        source: "presses",
        paint: {
          "circle-radius": 13,
          "circle-opacity": 0,
          "circle-stroke-color": COLOUR.sos,
          "circle-stroke-width": 3,
        },
      },
      {
        id: "cursor",
        type: "circle",
        source: "cursor",
        paint: {
          "circle-radius": 8,
          "circle-color": "#ffffff",
          "circle-stroke-color": "#1565c0",
          "circle-stroke-width": 4,
        },
      },
    ],
  };
}
