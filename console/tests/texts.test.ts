import { describe, expect, it } from "vitest";

import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";

type Tree = { [key: string]: string | Tree };

function leaves(tree: Tree, path = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string"
      ? [[path + key, value] as [string, string]]
      : leaves(value, `${path}${key}.`),
  );
}

const names = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

describe("the texts", () => {
  it("use the same values in both languages", () => {
    const chinese = new Map(leaves(zh as unknown as Tree));
    for (const [key, text] of leaves(en as unknown as Tree))
      expect(names(chinese.get(key) ?? ""), key).toEqual(names(text));
  });

  it("are Chinese in Chinese", () => {
    const untranslated = leaves(zh as unknown as Tree)
      .filter(([key, text]) => key !== "language" && !/[一-鿿]/.test(text))
      .map(([key]) => key);
    expect(untranslated).toEqual([]);
  });
});
