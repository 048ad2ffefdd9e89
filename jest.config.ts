/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  roots: ['<rootDir>/spec'],
  testMatch: ['**/*.spec.ts'],
  transform: { '^.+\\.(ts|js)$': ['ts-jest', { tsconfig: 'tsconfig.test.json' }] },
  // superjson and what it stands on are ESM only; they are compiled for jest's CommonJS runtime.
  transformIgnorePatterns: ['/node_modules/(?!(?:superjson|copy-anything|is-what)/)'],
  moduleNameMapper: {
    '^streamweave-offset$': '<rootDir>/lib/index.ts',
    '^streamweave-offset/(sqlite|postgres|redis)$': '<rootDir>/lib/stores/$1.ts',
    '^streamweave-offset/otel$': '<rootDir>/lib/otel/index.ts',
    '^streamweave-offset/testing$': '<rootDir>/lib/testing/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  // Specs wait for processes and disks more than they compute.
  maxWorkers: '100%',
  testTimeout: 20_000,
  collectCoverageFrom: ['lib/**/*.ts'],
};

export default config;
