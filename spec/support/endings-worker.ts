/** A process of {@link runUntilTerminated}. Arguments: the folder of its files, and the names of its forms. */
import { FORMS } from './endings-forms.js';
import { runUntilTerminated } from './endings-process.js';

const [folder, ...names] = process.argv.slice(2) as [string, ...string[]];
const forms = FORMS.filter(({ name }) => names.includes(name));
void runUntilTerminated(forms, folder);
