/**
 * The markers of sensor nodes: diamonds, drawn here pixel by pixel, because a map's own circles
 * are what terminals have. A shape is seen where colours are not told apart.
 */

import { COLOUR, type Look } from "./style";

/** Pixels of the picture for one on the screen. */
export const PIXEL_RATIO = 2;
const HALF_DIAGONAL = 9 * PIXEL_RATIO;
const STROKE = 2 * PIXEL_RATIO;
const SIDE = 2 * (HALF_DIAGONAL + STROKE + 1);
const WHITE = [255, 255, 255] as const;
/** As the circles of terminals that were not heard for long. */
const HOLLOW_OPACITY = 0.25;

type Rgb = readonly [number, number, number];

export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** The name of a picture: what a feature's `icon` says. */
export function pictureName(look: Look, isHollow: boolean): string {
  return isHollow ? `${look}-hollow` : look;
}

/** Every picture by its name. */
export function pictures(): Map<string, Picture> {
  const made = new Map<string, Picture>();
  for (const look of Object.keys(COLOUR) as Look[])
    for (const isHollow of [false, true])
      made.set(pictureName(look, isHollow), diamond(rgb(COLOUR[look]), isHollow));
  return made;
}

function diamond(colour: Rgb, isHollow: boolean): Picture {
  const data = new Uint8ClampedArray(SIDE * SIDE * 4);
  const stroke = isHollow ? colour : WHITE;
  for (let y = 0; y < SIDE; y += 1)
    for (let x = 0; x < SIDE; x += 1) {
      // Distance from the edge of the inner diamond, in pixels; negative inside.
      const middle = (SIDE - 1) / 2;
      const away = (Math.abs(x - middle) + Math.abs(y - middle) - HALF_DIAGONAL) / Math.SQRT2;
      const isStroke = away > -STROKE / 2;
      const edge = Math.min(1, Math.max(0, STROKE / 2 - away + 0.5));
      const opacity = isStroke ? edge : isHollow ? HOLLOW_OPACITY : 1;
      data.set([...(isStroke ? stroke : colour), Math.round(255 * opacity)], 4 * (y * SIDE + x));
    }
  return { width: SIDE, height: SIDE, data };
}

function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
