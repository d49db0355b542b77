package keychain

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
)

// securityPath is Apple's own tool. Not looked up: whatever came first in a search path would be given the password.
const securityPath = "/usr/bin/security"

// maxSecurity is the longest secret in bytes that the tool takes: it asks with getpass, which cuts off the rest.
const maxSecurity = 128

// errUnfit says that a secret cannot go through the tool's prompt.
var errUnfit = fmt.Errorf("the security tool takes one line of at most %d bytes", maxSecurity)

// errOutput says that the tool printed something else than a password. What it printed may be one, and is not told.
var errOutput = errors.New("the security tool's answer is not understood")

// NewSecurityTool returns a store that reads and writes through /usr/bin/security. An item made by it opens to the
// tool and so to any process of the user, without a question; in return it survives a rebuild of this program, which is
// another program to macOS. An item is made and read by the same store, never by one and the other. A secret that the
// tool would cut short is refused.
func NewSecurityTool(opt Options) Store {
	opt.applyDefaults()
	return newGuard(securityTool{opt.Run}, opt.TimeLimit)
}

type securityTool struct{ run Runner }

// get asks with -g: with -w the tool prints some passwords as they are and some as hexadecimal digits, and does not say
// which.
func (t securityTool) get(ctx context.Context, item Item) ([]byte, error) {
	stderr, err := t.call(ctx, nil, "find-generic-password", "-s", item.Service, "-a", item.Account, "-g")
	if err != nil {
		return nil, err
	}
	return parsePassword(stderr)
}

// set ends its arguments with a bare -w: the tool then reads the password from standard input, twice.
func (t securityTool) set(ctx context.Context, item Item, secret []byte) error {
	// Checked before: the tool would write what it understood over what was there.
	if len(secret) > maxSecurity || bytes.ContainsAny(secret, "\n\r\x00") {
		return errUnfit
	}
	args := []string{"add-generic-password", "-U", "-s", item.Service, "-a", item.Account}
	if item.Label != "" {
		args = append(args, "-l", item.Label)
	}
	stdin := make([]byte, 0, 2*len(secret)+2)
	for range 2 {
		stdin = append(append(stdin, secret...), '\n')
	}
	_, err := t.call(ctx, stdin, append(args, "-w")...)
	return err
}

func (t securityTool) delete(ctx context.Context, item Item) error {
	_, err := t.call(ctx, nil, "delete-generic-password", "-s", item.Service, "-a", item.Account)
	return err
}

// call runs the tool. Its standard error may hold the password and is in no error.
func (t securityTool) call(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	result, err := t.run(ctx, stdin, securityPath, args...)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: there is no %s, which is a part of macOS", ErrUnavailable, securityPath)
	case err != nil:
		return nil, fmt.Errorf("run security: %w", err)
	case result.Exit == 0:
		return result.Stderr, nil
	}
	for s := range meanings {
		if int(byte(s)) == result.Exit {
			return nil, fmt.Errorf("run security: %w", s)
		}
	}
	return nil, fmt.Errorf("run security: exit status %d", result.Exit)
}

// parsePassword finds the secret in what -g prints: `password: "text"`, where text is printable ASCII but no backslash,
// and otherwise its hexadecimal digits first, `password: 0xC3A9  "\303\251"`. See SecurityTool/keychain_utilities.c.
func parsePassword(stderr []byte) ([]byte, error) {
	for line := range bytes.Lines(stderr) {
		value, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("password: "))
		if !ok {
			continue
		}
		if digits, ok := bytes.CutPrefix(value, []byte("0x")); ok {
			digits, _, _ = bytes.Cut(digits, []byte(" "))
			secret := make([]byte, hex.DecodedLen(len(digits)))
			if _, err := hex.Decode(secret, digits); err != nil {
				return nil, errOutput // not err, which quotes a character
			}
			return secret, nil
		}
		if len(value) == 0 {
			return nil, ErrEmpty
		}
		if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
			return nil, errOutput
		}
		return value[1 : len(value)-1], nil
	}
	return nil, errOutput
}
