// Our sources name their neighbours as Node will find them after the build ('./x.js'); before it, the file is x.ts.
// A moduleNameMapper would do the same to packages in node_modules and break some of them.
const { existsSync } = require('node:fs');
const { join, sep } = require('node:path');

const PACKAGES = `${sep}node_modules${sep}`;

module.exports = (request, options) => {
  if (/^\.\.?\/.*\.js$/.test(request) && !options.basedir.includes(PACKAGES)) {
    const source = join(options.basedir, request.replace(/\.js$/, '.ts'));
    if (existsSync(source)) return options.defaultResolver(source, options);
  }
  return options.defaultResolver(request, options);
};
