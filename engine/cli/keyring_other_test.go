//go:build !linux

package cli_test

import "maia-dr/keychain"

func testKeychain() func(string) keychain.Store { return memoryKeychain }
