import "element-plus/dist/index.css";
import "maplibre-gl/dist/maplibre-gl.css";
import "./shell/console.css";

import { createPinia } from "pinia";
import { createApp } from "vue";

import { i18n } from "./i18n";
import App from "./shell/App.vue";

createApp(App).use(createPinia()).use(i18n).mount("#app");
