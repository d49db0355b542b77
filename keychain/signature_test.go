package keychain

import (
	"context"
	"errors"
	"io/fs"
	"testing"
)

func TestSignatureOf(t *testing.T) {
	const head = "Executable=/Applications/Maia Recovery.app/Contents/MacOS/maia-dr\nIdentifier=com.maia.recovery\nFormat=app bundle with Mach-O thin (arm64)\n"
	for name, tc := range map[string]struct {
		exit   int
		stderr string
		want   Signature
	}{
		"unsigned":          {1, "/usr/local/bin/maia-dr: code object is not signed at all\n", SignatureNone},
		"ad hoc":            {0, head + "CodeDirectory v=20400 size=1 flags=0x2(adhoc) hashes=1+2\nSignature=adhoc\nTeamIdentifier=not set\n", SignatureAdHoc},
		"linker":            {0, head + "CodeDirectory v=20400 flags=0x20002(adhoc,linker-signed)\nSignature=adhoc\nTeamIdentifier=not set\n", SignatureAdHoc},
		"self-signed":       {0, head + "Signature size=1\nAuthority=My own certificate\nTeamIdentifier=not set\n", SignatureOther},
		"Developer ID":      {0, head + "Signature size=9\nAuthority=Developer ID Application: N (ABCDE12345)\nAuthority=Developer ID Certification Authority\nAuthority=Apple Root CA\nTeamIdentifier=ABCDE12345\n", SignatureApple},
		"named like a team": {0, "Executable=/tmp/Authority=x TeamIdentifier=y\n", SignatureUnknown},
		"nothing":           {0, "", SignatureUnknown},
		"another error":     {1, "/usr/local/bin/maia-dr: No such file or directory\n", SignatureUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SignatureOf(t.Context(), func(_ context.Context, _ []byte, tool string, args ...string) (Result, error) {
				if tool != "/usr/bin/codesign" || args[len(args)-1] != "/the program" {
					t.Errorf("ran %s %q", tool, args)
				}
				return Result{Exit: tc.exit, Stderr: []byte(tc.stderr)}, nil
			}, "/the program")
			if err != nil || got != tc.want {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
	absent := func(context.Context, []byte, string, ...string) (Result, error) { return Result{}, fs.ErrNotExist }
	if got, err := SignatureOf(t.Context(), absent, "x"); got != SignatureUnknown || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", got, err)
	}
}
