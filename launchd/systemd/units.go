package systemd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"maia-dr/engine/schedule"
)

// stopLimit is how long a backup may take to end properly when the session ends, in seconds.
const stopLimit = 120

// check refuses what a line of a unit cannot say.
func check(j schedule.Job) error {
	if j.Label == "" || strings.ContainsFunc(j.Label, func(r rune) bool {
		return r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("describe %q: no name for a unit", j.Label)
	}
	if len(j.Program) == 0 || !filepath.IsAbs(j.Program[0]) {
		return fmt.Errorf("describe %s: the program is no absolute path", j.Label)
	}
	for _, s := range append([]string{j.Description}, j.Program...) {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return errors.New("describe " + j.Label + ": control characters cannot stand in a unit")
		}
	}
	return nil
}

// Service returns the unit that runs the job once. 3 and 4 are no failures: done, but something is missing or not yet
// uploaded; the program has told that itself.
func Service(j schedule.Job) ([]byte, error) {
	if err := check(j); err != nil {
		return nil, err
	}
	if strings.ContainsAny(j.Program[0], "\"'\\") {
		return nil, fmt.Errorf("describe %s: systemd runs no program whose path has quotes or backslashes: %s", j.Label, j.Program[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[Unit]\nDescription=%s\n\n[Service]\nType=oneshot\nExecStart=%s\n", specifiers(j.Description), command(j.Program))
	fmt.Fprintf(&b, "SuccessExitStatus=3 4\nTimeoutStartSec=infinity\nTimeoutStopSec=%d\n", stopLimit)
	if j.Background {
		b.WriteString("Nice=5\nIOSchedulingClass=idle\n")
	}
	return []byte(b.String()), nil
}

// Timer returns the unit that starts the service at the job's times of day, local time, and a minute after the session
// began. Persistent: what was missed, asleep or off, is caught up at once.
func Timer(j schedule.Job) ([]byte, error) {
	if err := check(j); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[Unit]\nDescription=%s, by the clock\n\n[Timer]\n", specifiers(j.Description))
	for _, c := range j.At {
		fmt.Fprintf(&b, "OnCalendar=%s\n", Calendar(c))
	}
	b.WriteString("OnStartupSec=1min\nPersistent=true\nAccuracySec=1min\n\n[Install]\nWantedBy=timers.target\n")
	return []byte(b.String()), nil
}

// Calendar writes a time of day as systemd.time(7) has it.
func Calendar(c schedule.Clock) string { return fmt.Sprintf("*-*-* %02d:%02d:00", c.Hour, c.Minute) }

// command writes a command line: every word in quotes, so that nothing in it has a meaning. No variables are looked for
// in the program's own path.
func command(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)
		if i > 0 {
			w = strings.ReplaceAll(w, `$`, `$$`)
		}
		quoted[i] = `"` + specifiers(w) + `"`
	}
	return strings.Join(quoted, " ")
}

func specifiers(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// Autostart returns the entry that a desktop starts at login, by the Desktop Entry Specification.
func Autostart(j schedule.Job) ([]byte, error) {
	if err := check(j); err != nil {
		return nil, err
	}
	words := make([]string, len(j.Program))
	for i, w := range j.Program {
		// Quoted as an argument, and then once more as a value of the file.
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(w)
		words[i] = `"` + strings.ReplaceAll(specifiers(w), `\`, `\\`) + `"`
	}
	return fmt.Appendf(nil, "[Desktop Entry]\nType=Application\nVersion=1.4\nName=Maia Recovery\nComment=%s\nExec=%s\nTerminal=false\nX-GNOME-Autostart-enabled=true\n",
		strings.ReplaceAll(j.Description, `\`, `\\`), strings.Join(words, " ")), nil
}

// program reads the command of a service back; nil if there is none in the form of command.
func program(unit []byte) []string {
	for line := range strings.Lines(string(unit)) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ExecStart="); ok {
			return words(rest, `$`)
		}
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "Exec="); ok {
			return words(strings.ReplaceAll(rest, `\\`, `\`), "")
		}
	}
	return nil
}

// words splits what is quoted throughout. A "%" is always doubled, variable where it is not empty after the first word.
func words(s, variable string) (out []string) {
	for s != "" {
		if s[0] != '"' {
			return nil
		}
		var w strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			w.WriteByte(s[i])
		}
		if i == len(s) {
			return nil
		}
		word := strings.ReplaceAll(w.String(), "%%", "%")
		if len(out) > 0 && variable != "" {
			word = strings.ReplaceAll(word, variable+variable, variable)
		}
		out = append(out, word)
		s = strings.TrimPrefix(s[i+1:], " ")
	}
	return out
}

// times reads the times of day of a timer back.
func times(unit []byte) (out []schedule.Clock) {
	for line := range strings.Lines(string(unit)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "OnCalendar=*-*-* ")
		if !ok {
			continue
		}
		if c, err := schedule.ParseClock(strings.TrimSuffix(rest, ":00")); err == nil {
			out = append(out, c)
		}
	}
	return out
}
