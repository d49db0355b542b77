package keychain

import (
	"context"
	"fmt"
	"strings"
)

// Signature is how a program is signed: by it macOS tells the program that wrote an item from others.
type Signature string

// The signatures. Only one by a certificate of Apple's stays the same program from build to build (codesign(1), Apple
// TN2206); with any other macOS asks again after each update.
const (
	SignatureNone    Signature = "unsigned"
	SignatureAdHoc   Signature = "ad_hoc"
	SignatureOther   Signature = "other_certificate"
	SignatureApple   Signature = "apple_certificate"
	SignatureUnknown Signature = "unknown"
)

// SignatureOf asks codesign how the program at path is signed. An answer that it does not know is SignatureUnknown.
func SignatureOf(ctx context.Context, run Runner, path string) (Signature, error) {
	r, err := run(ctx, nil, "/usr/bin/codesign", "--display", "--verbose=2", "--", path)
	if err != nil {
		return SignatureUnknown, fmt.Errorf("ask codesign: %w", err)
	}
	return parseSignature(r), nil
}

// parseSignature reads what codesign wrote to standard error.
func parseSignature(r Result) Signature {
	text := string(r.Stderr)
	if r.Exit != 0 {
		if strings.Contains(text, "not signed at all") {
			return SignatureNone
		}
		return SignatureUnknown
	}
	team, authority := false, false
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case key == "Signature" && value == "adhoc":
			return SignatureAdHoc
		case key == "Authority":
			authority = true
		case key == "TeamIdentifier" && value != "" && value != "not set":
			team = true
		}
	}
	switch {
	case team && authority:
		return SignatureApple
	case authority:
		return SignatureOther
	}
	return SignatureUnknown
}
