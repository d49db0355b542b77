package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// The ways in which a file can be wrong.
var (
	ErrSyntax     = errors.New("not valid TOML")
	ErrUnknownKey = errors.New("unknown key")
	ErrValue      = errors.New("bad value")
)

// Error says what is wrong in a configuration and where. errors.Is tells ErrSyntax, ErrUnknownKey and ErrValue apart.
type Error struct {
	Path string
	// Line counts from 1; 0: unknown.
	Line int
	// Key is the full name, as in capture.exclude; it may be empty.
	Key string
	// Problem says what is wrong, and where there is a choice, what is allowed.
	Problem string
	// Err is the kind.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("read configuration")
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// parse reads a configuration over the defaults.
func parse(b []byte) (Config, error) {
	if len(b) > maxFile {
		return Config{}, &Error{Problem: fmt.Sprintf("the file has more than %d bytes", maxFile), Err: ErrSyntax}
	}
	c := Defaults()
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&c)
	if err != nil {
		return Config{}, explain(err)
	}
	if e := c.validate(); e != nil {
		e.Line = lineOf(b, e.Key)
		return Config{}, e
	}
	return c, nil
}

// explain turns the decoder's errors into ours.
func explain(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := &unknown.Errors[0]
		line, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return &Error{Line: line, Key: key, Problem: "unknown key; " + choices(first.Key()), Err: ErrUnknownKey}
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		e := &Error{Line: line, Key: strings.Join(wrong.Key(), "."), Err: ErrSyntax}
		e.Problem = strings.TrimPrefix(wrong.Error(), "toml: ")
		if allowed, ok := allowedOf(e.Key); ok {
			e.Err, e.Problem = ErrValue, e.Problem+"; allowed: "+allowed
		}
		return e
	}
	return &Error{Problem: strings.TrimPrefix(err.Error(), "toml: "), Err: ErrSyntax}
}

// choices says which keys stand where an unknown one was found.
func choices(key []string) string {
	table := ""
	if len(key) > 1 {
		table = key[0]
	}
	var names []string
	for _, k := range Keys() {
		t, name, nested := strings.Cut(k, ".")
		if !nested {
			t, name = "", k
		}
		if t == table {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return "there is no table [" + table + "]"
	case table == "":
		return "outside of a table there are " + strings.Join(names, ", ")
	}
	return "[" + table + "] has " + strings.Join(names, ", ")
}

// Keys returns the full name of every key, in the order of the file.
func Keys() []string { return keysOf(reflect.TypeFor[Config](), "") }

func keysOf(t reflect.Type, prefix string) (keys []string) {
	for f := range t.Fields() {
		name := prefix + f.Tag.Get("toml")
		if f.Type.Kind() == reflect.Struct && !reflect.PointerTo(f.Type).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			keys = append(keys, keysOf(f.Type, name+".")...)
			continue
		}
		keys = append(keys, name)
	}
	return keys
}

// lineOf returns the line on which a key of a valid document is set, or the one of its table.
func lineOf(b []byte, key string) int {
	p := unstable.Parser{}
	p.Reset(b)
	best, line, table := -1, 0, ""
	for p.NextExpression() {
		e := p.Expression()
		var name []string
		var at unstable.Range
		for it := e.Key(); it.Next(); {
			if len(name) == 0 {
				at = it.Node().Raw
			}
			name = append(name, string(it.Node().Data))
		}
		full := strings.Join(name, ".")
		if e.Kind == unstable.Table {
			table = full
		} else if table != "" {
			full = table + "." + full
		}
		if (full == key || strings.HasPrefix(key, full+".")) && len(full) > best {
			best, line = len(full), p.Shape(at).Start.Line
		}
	}
	return line
}

// limit is a check of one key.
type limit struct {
	key     string
	allowed string
	// check returns what is wrong, without the key; empty: nothing.
	check func(c *Config) string
}

func (c *Config) validate() *Error {
	for _, l := range limits {
		if problem := l.check(c); problem != "" {
			return &Error{Key: l.key, Problem: problem + "; allowed: " + l.allowed, Err: ErrValue}
		}
	}
	return nil
}

// allowedOf returns what a key allows.
func allowedOf(key string) (string, bool) {
	for _, l := range limits {
		if l.key == key {
			return l.allowed, true
		}
	}
	return "", false
}

// limits has a line for every key.
var limits = []limit{
	{"maia_root", pathAllowed, func(c *Config) string { return badPath(c.MaiaRoot) }},
	{"onedrive_path", pathAllowed, func(c *Config) string { return badPath(c.OneDrivePath) }},
	{"capture.exclude", "a list of patterns relative to the Maia root", func(c *Config) string { return first(c.Capture.Exclude, badPattern) }},
	{"capture.shell_files", "a list of paths relative to the home folder", func(c *Config) string { return first(c.Capture.ShellFiles, badHomePath) }},
	{"capture.launch_agents", "a list of file names in ~/Library/LaunchAgents", func(c *Config) string { return first(c.Capture.LaunchAgents, badAgent) }},
	{"capture.large_database_mb", "1 to 1000000", func(c *Config) string { return outside(c.Capture.LargeDatabaseMB, 1, 1_000_000) }},
	{"retention.daily", keepAllowed, func(c *Config) string { return outside(c.Retention.Daily, 0, maxKeep) }},
	{"retention.weekly", keepAllowed, func(c *Config) string { return outside(c.Retention.Weekly, 0, maxKeep) }},
	{"retention.monthly", keepAllowed, func(c *Config) string { return outside(c.Retention.Monthly, 0, maxKeep) }},
	{"retention", "at least one rule that is not 0", func(c *Config) string {
		if c.Retention == (Retention{}) {
			return "all rules are switched off"
		}
		return ""
	}},
	{"sync.slow_after", `"1m" to "720h"`, func(c *Config) string { return badDuration(c.Sync.SlowAfter, time.Minute, 720*time.Hour) }},
	{"sync.wait", `"0s" to "24h"`, func(c *Config) string { return badDuration(c.Sync.Wait, 0, 24*time.Hour) }},
	{"git.keep_history", "true or false", fine},
	{"onedrive.graph_client_id", "letters, digits and hyphens", func(c *Config) string { return badClientID(c.OneDrive.GraphClientID) }},
	{"secrets.files", "a list of paths relative to the Maia root or beginning with ~/", func(c *Config) string { return first(c.Secrets.Files, badSecretFile) }},
	{"secrets.keychain_items", "a list of names of Keychain items", func(c *Config) string { return first(c.Secrets.KeychainItems, badItem) }},
	{"secrets.keychain_backend", `"native" or "security"`, func(c *Config) string {
		return notIn(c.Secrets.KeychainBackend, BackendNative, BackendSecurity)
	}},
	{"notify.success", "true or false", fine},
	{"notify.healthcheck", "true or false", fine},
	{"notify.webhook", "true or false", fine},
	{"schedule.at", `a time of day like "03:00"`, func(c *Config) string { return c.Schedule.At.bad }},
	{"schedule.catch_up", `a list of times of day like "09:00"`, func(c *Config) string {
		for _, t := range c.Schedule.CatchUp {
			if t.bad != "" {
				return t.bad
			}
		}
		return ""
	}},
	{"schedule.drill", `a weekday like "sunday", or "off"`, func(c *Config) string {
		days := []string{DrillOff}
		for d := time.Sunday; d <= time.Saturday; d++ {
			days = append(days, strings.ToLower(d.String()))
		}
		return notIn(c.Schedule.Drill, days...)
	}},
}

const (
	pathAllowed = "an absolute path, or one that begins with ~/"
	keepAllowed = "0 to 1000"
	maxKeep     = 1000
)

// fine is for keys whose type says all.
func fine(*Config) string { return "" }

func first(list []string, bad func(string) string) string {
	for _, s := range list {
		if problem := bad(s); problem != "" {
			return problem
		}
	}
	return ""
}

func outside[N int | int64](n, low, high N) string {
	if n < low || n > high {
		return fmt.Sprintf("%d is out of range", n)
	}
	return ""
}

func notIn(s string, allowed ...string) string {
	if !slices.Contains(allowed, s) {
		return fmt.Sprintf("%q is not known", s)
	}
	return ""
}

func badDuration(d Duration, low, high time.Duration) string {
	if d.bad != "" {
		return d.bad
	}
	if v := d.Std(); v < low || v > high {
		return fmt.Sprintf("%v is out of range", v)
	}
	return ""
}

func badPath(p string) string {
	if p == "" || p == "~" || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "~/") {
		return badBytes(p)
	}
	return fmt.Sprintf("%q is relative", p)
}

func badBytes(p string) string {
	if strings.ContainsRune(p, 0) {
		return fmt.Sprintf("%q has a NUL in it", p)
	}
	return ""
}

func badPattern(p string) string {
	switch {
	case strings.Trim(p, "/") == "" || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "~"):
		return fmt.Sprintf("%q is not relative to the Maia root", p)
	case climbs(p):
		return fmt.Sprintf("%q leads out of the Maia root", p)
	case !doublestar.ValidatePattern(p):
		return fmt.Sprintf("%q is not a pattern", p)
	}
	return badBytes(p)
}

// climbs reports whether an element of a path is "..".
func climbs(p string) bool { return slices.Contains(strings.Split(p, "/"), "..") }

func badHomePath(p string) string {
	rest := strings.TrimPrefix(p, "~/")
	switch {
	case path.Clean(rest) == "." || strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "~"):
		return fmt.Sprintf("%q is not relative to the home folder", p)
	case climbs(rest):
		return fmt.Sprintf("%q leads out of the home folder", p)
	}
	return badBytes(p)
}

func badAgent(p string) string {
	if _, err := path.Match(p, "x"); err != nil || p == "" || p == "." || p == ".." || strings.Contains(p, "/") {
		return fmt.Sprintf("%q is not a file name", p)
	}
	return badBytes(p)
}

func badSecretFile(p string) string {
	if strings.HasPrefix(p, "~/") {
		return badHomePath(p)
	}
	switch {
	case path.Clean(p) == "." || strings.HasPrefix(p, "/"):
		return fmt.Sprintf("%q is not relative to the Maia root", p)
	case climbs(p):
		return fmt.Sprintf("%q leads out of the Maia root", p)
	}
	return badBytes(p)
}

func badItem(s string) string {
	if strings.TrimSpace(s) == "" {
		return "an empty name"
	}
	return badBytes(s)
}

func badClientID(s string) string {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return fmt.Sprintf("%q is no client id", s)
		}
	}
	return ""
}
