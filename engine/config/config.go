package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/retention"
)

// Config is the configuration. The zero value means the same as Defaults to every part of the program that is given
// one: an empty path is looked for, an absent number is its default.
type Config struct {
	// MaiaRoot and OneDrivePath are absolute or begin with "~/"; empty: found.
	MaiaRoot     string    `toml:"maia_root"`
	OneDrivePath string    `toml:"onedrive_path"`
	Capture      Capture   `toml:"capture"`
	Retention    Retention `toml:"retention"`
	Sync         Sync      `toml:"sync"`
	Git          Git       `toml:"git"`
	OneDrive     OneDrive  `toml:"onedrive"`
	Secrets      Secrets   `toml:"secrets"`
	Notify       Notify    `toml:"notify"`
	Schedule     Schedule  `toml:"schedule"`
}

// Capture says what goes into a backup.
type Capture struct {
	// Exclude are doublestar patterns relative to the Maia root.
	Exclude []string `toml:"exclude"`
	// ShellFiles are paths relative to home, LaunchAgents names of files, both besides the usual ones.
	ShellFiles   []string `toml:"shell_files"`
	LaunchAgents []string `toml:"launch_agents"`
	// LargeDatabaseMB is a number of MiB; see Config.LargeDatabaseBytes.
	LargeDatabaseMB int64 `toml:"large_database_mb"`
}

// Retention is how many backups each rule keeps; see Policy.
type Retention struct {
	Daily   int `toml:"daily"`
	Weekly  int `toml:"weekly"`
	Monthly int `toml:"monthly"`
}

// Sync is about waiting for OneDrive.
type Sync struct {
	SlowAfter Duration `toml:"slow_after"`
	Wait      Duration `toml:"wait"`
}

// Git is about the history of the Maia root.
type Git struct {
	KeepHistory bool `toml:"keep_history"`
}

// OneDrive is about Microsoft's account.
type OneDrive struct {
	GraphClientID string `toml:"graph_client_id"`
}

// Secrets says what goes into the vault beyond what is found by itself.
type Secrets struct {
	// Files are relative to the Maia root or begin with "~/".
	Files []string `toml:"files"`
	// KeychainItems are names of services.
	KeychainItems []string `toml:"keychain_items"`
	// KeychainBackend is BackendNative or BackendSecurity.
	KeychainBackend string `toml:"keychain_backend"`
}

// The ways to the Keychain.
const (
	BackendNative   = "native"
	BackendSecurity = "security"
)

// Notify says who is told beyond a notification on the screen. Addresses lie in the Keychain.
type Notify struct {
	Success     bool `toml:"success"`
	Healthcheck bool `toml:"healthcheck"`
	Webhook     bool `toml:"webhook"`
}

// Schedule says when things run by themselves, in local time.
type Schedule struct {
	At      Clock   `toml:"at"`
	CatchUp []Clock `toml:"catch_up"`
	// Drill is the English name of a weekday in lower case, or DrillOff.
	Drill string `toml:"drill"`
}

// DrillOff switches the weekly drill off.
const DrillOff = "off"

//go:embed default.toml
var defaultFile []byte

// Default returns the commented file that has every key with its default.
func Default() []byte { return slices.Clone(defaultFile) }

// Defaults returns the configuration of somebody who has configured nothing.
func Defaults() Config {
	return Config{
		Capture: Capture{
			Exclude: []string{}, ShellFiles: []string{}, LaunchAgents: []string{}, LargeDatabaseMB: defaultLargeMB,
		},
		Retention: Retention{Daily: retention.DefaultDaily, Weekly: retention.DefaultWeekly, Monthly: retention.DefaultMonthly},
		Sync:      Sync{SlowAfter: DurationOf(time.Hour), Wait: DurationOf(5 * time.Minute)},
		Secrets:   Secrets{Files: []string{}, KeychainItems: []string{}, KeychainBackend: BackendNative},
		Schedule: Schedule{
			At:      ClockAt(3, 0),
			CatchUp: []Clock{ClockAt(9, 0), ClockAt(13, 0), ClockAt(18, 0), ClockAt(22, 0)},
			Drill:   strings.ToLower(time.Sunday.String()),
		},
	}
}

const defaultLargeMB = 10

// maxFile is far more than any configuration has.
const maxFile = 1 << 20

// Path returns where the configuration lies under a home folder.
func Path(home string) string { return filepath.Join(home, ".config", "maia-dr", "config.toml") }

// Load reads the configuration at path. A file that is not there means the defaults. Everything that is wrong in the
// file is an *Error that says where; other errors are those of reading it.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Defaults(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parse(b)
	if wrong, ok := errors.AsType[*Error](err); ok {
		wrong.Path = path
	}
	return c, err
}

// LargeDatabaseBytes is the size from which on a database is a stream of its own.
func (c Config) LargeDatabaseBytes() int64 {
	if c.Capture.LargeDatabaseMB <= 0 {
		return defaultLargeMB << 20
	}
	return c.Capture.LargeDatabaseMB << 20
}

// Policy returns the rules for retention, in which 0 means the default and a negative number switches a rule off.
func (r Retention) Policy() retention.Policy {
	if r == (Retention{}) {
		// Not from a file: parse refuses a file that keeps nothing.
		return retention.Policy{}
	}
	off := func(n int) int {
		if n <= 0 {
			return -1
		}
		return n
	}
	return retention.Policy{Daily: off(r.Daily), Weekly: off(r.Weekly), Monthly: off(r.Monthly)}
}

// DrillDay returns the day of the weekly drill; false: there is none.
func (s Schedule) DrillDay() (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), s.Drill) {
			return d, true
		}
	}
	// An empty string is that of a zero Config.
	return time.Sunday, s.Drill == ""
}

// ExpandHome replaces a leading "~" or "~/" by the home folder.
func ExpandHome(path, home string) string {
	if path == "~" {
		return home
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return path
}

// Duration is a time.Duration, written "1h30m".
type Duration struct {
	std time.Duration
	bad string // what could not be read: found by parse, which knows key and line
}

// DurationOf returns a Duration.
func DurationOf(d time.Duration) Duration { return Duration{std: d} }

// Std returns the time.Duration.
func (d Duration) Std() time.Duration { return d.std }

// UnmarshalText reads what time.ParseDuration reads. It does not fail: Load does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration{std: v}
	if err != nil {
		d.bad = fmt.Sprintf("%q is no duration; write it like \"5m\" or \"1h30m\"", b)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.std.String()), nil }

// Clock is a time of day, written "03:00".
type Clock struct {
	hour, minute int
	bad          string // as in Duration
}

// ClockAt returns a Clock.
func ClockAt(hour, minute int) Clock { return Clock{hour: hour, minute: minute} }

// Hour is the hour of the day, 0 to 23.
func (c Clock) Hour() int { return c.hour }

// Minute is the minute of the hour.
func (c Clock) Minute() int { return c.minute }

// UnmarshalText reads hours and minutes of a day of 24 hours. It does not fail: Load does.
func (c *Clock) UnmarshalText(b []byte) error {
	t, err := time.Parse("15:04", string(b))
	*c = ClockAt(t.Hour(), t.Minute())
	if err != nil || len(b) != len("15:04") {
		c.bad = fmt.Sprintf("%q is no time of day; write it like \"03:00\"", b)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c.hour, c.minute) }
