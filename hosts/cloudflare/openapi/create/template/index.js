// Deputy with the operations of openapi.yaml as its tools, after the changes of overlay.yaml.

import openapi from "./openapi.yaml";
import overlay from "./overlay.yaml";
import { deputy } from "./deputy/index.js";

export { GrantIndexObject, RecordObject } from "./deputy/index.js";
export default deputy(openapi, overlay);
