import * as actions from "./actions.js";
import * as dialog from "./dialog.js";
import { keepUpToDate } from "./live.js";

actions.listen();
dialog.listen();
keepUpToDate();
