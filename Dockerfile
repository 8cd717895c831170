# syntax=docker/dockerfile:1
# The sample application. Build from the root of the repository: docker build -t nestjs-sessions-sample .

FROM node:22-bookworm-slim AS build
WORKDIR /app
# First what decides on the dependencies, so that they are installed again only when it changes.
COPY package.json package-lock.json .npmrc ./
COPY libs/session/package.json libs/session/
COPY libs/session-cli/package.json libs/session-cli/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && mkdir -p libs/session/node_modules

FROM node:22-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/libs/session/package.json libs/session/
COPY --from=build /app/libs/session/dist libs/session/dist
COPY --from=build /app/libs/session/node_modules libs/session/node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/public public
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 3000}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself, not npm: it is to get the signals.
CMD ["node", "dist/main.js"]
