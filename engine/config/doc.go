// Package config reads the configuration: one TOML file, in which every key may be missing and no other key may
// stand.
//
// A key is named by its table and its name, capture.exclude. Its default is the value that the file returned by
// Default gives it; docs/configuration.md explains each. No key holds a secret: passwords, tokens and addresses with
// tokens in them lie in the Keychain.
package config
