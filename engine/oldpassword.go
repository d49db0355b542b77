package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"howett.net/plist"

	"maia-dr/engine/vault"
)

// OldPassword is a vault password that was found in a file.
type OldPassword struct {
	Password vault.Password
	Path     string
	// Name is the variable it is called, or the option it follows.
	Name string
}

// oldNames are what the plan called the password; the environment's before the argument's.
var oldNames = []string{"MAIA_VAULT_PASSWORD", "VAULT_PASSWORD", "--vault-password"}

// maxOldFile bounds what is read: a nested property list could exhaust the stack.
const maxOldFile = 1 << 20

// ErrNoOldPassword says that a file was read and has no vault password in it.
var ErrNoOldPassword = errors.New("there is none in it")

// FindOldPassword looks for a vault password in a property list or an environment file. ErrNoOldPassword: the file has
// none. With every other error there may be one, so nobody may change the file as if there were not.
func (e *Engine) FindOldPassword(path string) (*OldPassword, error) {
	fail := func(err error, hint string) error {
		return &Error{Op: "look for the vault password", Path: path, Code: CodePasswordMissing, Err: err, Hint: hint}
	}
	const nameIt = "name the file that holds it: `maia-dr password import FILE`"
	values, _, err := oldValues(path)
	if err != nil {
		return nil, fail(err, nameIt)
	}
	for _, name := range oldNames {
		value := values[name]
		if value == "" || strings.HasPrefix(value, "ENV:") || strings.HasPrefix(value, "YOUR_") {
			continue // the plan's own placeholders
		}
		p, err := vault.NewPassword([]byte(value))
		if err != nil {
			return nil, fail(fmt.Errorf("%s: %w", name, err),
				"no vault can have that password: note it, take it out of the file by hand, and set another with `maia-dr password set`")
		}
		return &OldPassword{Password: p, Path: path, Name: name}, nil
	}
	return nil, fail(ErrNoOldPassword, nameIt)
}

// oldFile is a file that may hold the password: a property list, or lines of NAME=VALUE.
type oldFile struct {
	tree   map[string]any
	format int
	lines  [][]byte
}

// oldValues returns the values by their names.
func oldValues(path string) (map[string]string, *oldFile, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, nil, err
	}
	values := map[string]string{}
	f := new(oldFile)
	if bytes.HasPrefix(b, []byte("bplist")) || bytes.Contains(b[:min(len(b), 512)], []byte("<plist")) {
		if f.format, err = plist.Unmarshal(b, &f.tree); err != nil {
			return nil, nil, fmt.Errorf("not a property list: %w", err)
		}
		env, _ := f.tree["EnvironmentVariables"].(map[string]any)
		for name, v := range env {
			text, ok := v.(string)
			if !ok && slices.Contains(oldNames, name) {
				return nil, nil, fmt.Errorf("%s is no text", name)
			}
			values[name] = text
		}
		args, _ := f.tree["ProgramArguments"].([]any)
		for i, v := range args {
			arg, _ := v.(string)
			if name, value, ok := strings.Cut(arg, "="); ok {
				values[name] = value
			} else if i+1 < len(args) && strings.HasPrefix(arg, "--") {
				values[arg], _ = args[i+1].(string)
			}
		}
		return values, f, nil
	}
	f.lines = bytes.SplitAfter(b, []byte("\n"))
	found, err := vault.Find(vault.Env, b)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range found {
		values[x.Name] = string(x.Value)
	}
	return values, f, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxOldFile+1))
	if err == nil && len(b) > maxOldFile {
		err = errors.New("it is larger than 1 MB")
	}
	return b, err
}

// ScrubOldPassword takes the password out of its file. All else stays; a property list keeps its format.
func (e *Engine) ScrubOldPassword(old *OldPassword) error {
	fail := func(err error) error { return explain("take the vault password out of the file", old.Path, err) }
	_, f, err := oldValues(old.Path)
	if err != nil {
		return fail(err)
	}
	var out []byte
	if f.tree != nil {
		f.scrubTree()
		if out, err = plist.MarshalIndent(f.tree, f.format, "\t"); err == nil && f.format == plist.XMLFormat {
			out = append(out, '\n')
		}
	} else {
		out, err = f.scrubLines(old.Name), nil
	}
	if err != nil {
		return fail(err)
	}
	if bytes.Contains(out, old.Password.Reveal()) {
		return fail(errors.New("it stands in another place of it too; take it out by hand"))
	}
	fi, err := os.Stat(old.Path)
	if err != nil {
		return fail(err)
	}
	return fail(e.fs.WriteDurable(old.Path, fi.Mode().Perm(), func(w io.Writer) error {
		_, err := w.Write(out)
		return err
	}))
}

func (f *oldFile) scrubTree() {
	if env, _ := f.tree["EnvironmentVariables"].(map[string]any); env != nil {
		for _, name := range oldNames {
			delete(env, name)
		}
		if len(env) == 0 {
			delete(f.tree, "EnvironmentVariables")
		}
	}
	args, _ := f.tree["ProgramArguments"].([]any)
	var kept []any
	for i := 0; i < len(args); i++ {
		arg, _ := args[i].(string)
		name, _, inOne := strings.Cut(arg, "=")
		switch {
		case slices.Contains(oldNames, arg):
			i++ // and its value
		case inOne && slices.Contains(oldNames, name):
		default:
			kept = append(kept, args[i])
		}
	}
	if len(args) > 0 {
		f.tree["ProgramArguments"] = kept
	}
}

// scrubLines drops the lines that give the variable its value.
func (f *oldFile) scrubLines(name string) []byte {
	var out []byte
	for _, line := range f.lines {
		text := strings.TrimPrefix(strings.TrimSpace(string(line)), "export ")
		if variable, _, ok := strings.Cut(text, "="); !ok || strings.TrimSpace(variable) != name {
			out = append(out, line...)
		}
	}
	return out
}
