/** The village's name in the chosen language; its code when the name is not known. */

import { language } from "../i18n";
import { useFleet } from "../state/fleet";

export function useAreaName(): (code: string | null) => string {
  const fleet = useFleet();
  return (code) => {
    if (code === null) return "";
    const area = fleet.areas.get(code);
    if (area === undefined) return code;
    return language() === "zh" ? area.name_zh : area.name_en;
  };
}
