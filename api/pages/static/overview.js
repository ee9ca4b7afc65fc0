// Script of the overview.

import * as actions from "./actions.js";
import * as dialog from "./dialog.js";
import { startRefreshing } from "./live.js";

actions.listen();
dialog.listen();
startRefreshing();
