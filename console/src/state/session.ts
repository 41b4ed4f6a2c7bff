/** Who is signed in. The cookie is the server's; this only knows what it stands for. */

import { defineStore } from "pinia";
import { ref } from "vue";

import { ApiError, request } from "../api/client";

export interface Session {
  user: string;
  role: "viewer" | "operator" | "admin";
  area: string | null;
  area_name_zh: string | null;
  area_name_en: string | null;
}

export const useSession = defineStore("session", () => {
  const session = ref<Session | null>(null);
  const isKnown = ref(false);
  const isOver = ref(false);

  /** Ask the server who we are; a 401 means: nobody. */
  async function load(): Promise<void> {
    try {
      session.value = await request<Session>("GET", "/session");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      session.value = null;
    }
    isKnown.value = true;
  }

  async function signIn(name: string, password: string): Promise<void> {
    session.value = await request<Session>("POST", "/session", { name, password });
    isOver.value = false;
  }

  async function signOut(): Promise<void> {
    await request("DELETE", "/session");
    session.value = null;
  }

  /** The server ended the session: say so instead of showing an empty map. */
  function end(): void {
    session.value = null;
    isOver.value = true;
  }

  return { session, isKnown, isOver, load, signIn, signOut, end };
});
