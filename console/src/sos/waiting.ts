/** Which cases alert: banner, sound and notification all ask here. */

import type { Case } from "../api/types";

/** Nobody has taken it, or it was pressed again since somebody did. */
export function isWaiting(row: Case): boolean {
  return row.closed_ms === null && (row.status === "reported" || isPressedAgain(row));
}

/** Somebody has it, and has not acknowledged the last press. */
export function isPressedAgain(row: Case): boolean {
  return row.status === "taken" && row.presses > row.acknowledged_presses;
}
