package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Set returns the configuration file b with one key of a text value set, everything else as it was, comments included:
// the line that has the key is replaced, or one is added to its table. key is a full name, as in schedule.at. A file that
// is not valid before or after is an error.
func Set(b []byte, key, value string) ([]byte, error) {
	before, err := parse(b)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return nil, &Error{Key: key, Problem: "control characters are not allowed in it", Err: ErrValue}
	}
	table, name, nested := strings.Cut(key, ".")
	if !nested {
		table, name = "", key
	}
	line := name + ` = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	out := []byte(setLine(string(b), table, name, line))
	after, err := parse(out)
	if err != nil {
		return nil, err
	}
	changed, known := field(&after, key)
	if !known {
		return nil, &Error{Key: key, Problem: "there is no such key", Err: ErrUnknownKey}
	}
	if got := fmt.Sprint(changed.Interface()); got != value {
		return nil, fmt.Errorf("set %s in the configuration: it reads back as %q", key, got)
	}
	was, _ := field(&before, key)
	was.Set(changed)
	if !reflect.DeepEqual(before, after) {
		return nil, errors.New("set " + key + " in the configuration: another key would change too")
	}
	return out, nil
}

var tableHead = regexp.MustCompile(`^\s*\[\s*([A-Za-z0-9_]+)\s*\]\s*(#.*)?$`)

// setLine puts a line in the place of the one that sets name in a table, else behind the table's head, else at the end.
// Comments that show the key are left alone.
func setLine(text, table, name, line string) string {
	sets := regexp.MustCompile(`^\s*` + regexp.QuoteMeta(name) + `\s*=`)
	lines := strings.Split(text, "\n")
	at, behind := "", -1
	if table == "" {
		behind = 0
	}
	for i, l := range lines {
		if m := tableHead.FindStringSubmatch(l); m != nil {
			if at = m[1]; at == table {
				behind = i + 1
			}
			continue
		}
		if at == table && sets.MatchString(l) {
			lines[i] = line
			return strings.Join(lines, "\n")
		}
	}
	if behind >= 0 {
		return strings.Join(append(lines[:behind:behind], append([]string{line}, lines[behind:]...)...), "\n")
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + "\n[" + table + "]\n" + line + "\n"
}

// field returns the field of a key.
func field(c *Config, key string) (reflect.Value, bool) {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(key, ".") {
		if v.Kind() != reflect.Struct {
			return v, false
		}
		found := false
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("toml") == name {
				v, found = v.Field(i), true
				break
			}
		}
		if !found {
			return v, false
		}
	}
	return v, v.Kind() != reflect.Struct || v.Type().NumMethod() > 0
}
