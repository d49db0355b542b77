package retention

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// randomBackups has clusters, gaps, wrong clocks and every mixture of facts.
func randomBackups(rng *rand.Rand, clocksRunForward bool) []Backup {
	var backups []Backup
	now := time.Date(2024, 2, 20, 0, 0, 0, 0, time.UTC)
	for i := range rng.IntN(120) {
		now = now.Add(time.Duration(1+rng.IntN([]int{60, 1500, 3000, 60000}[rng.IntN(4)])) * time.Minute)
		b := Backup{
			ID:       fmt.Sprintf("full_%04d", i),
			Time:     now,
			Complete: rng.IntN(8) != 0,
			Vault:    rng.IntN(4) == 0,
			Uploaded: rng.IntN(4) == 0,
			Drilled:  rng.IntN(9) == 0,
		}
		if !clocksRunForward && rng.IntN(5) == 0 {
			b.Time = b.Time.AddDate(0, 0, rng.IntN(800)-400)
		}
		backups = append(backups, b)
	}
	return backups
}

func randomPolicy(rng *rand.Rand) Policy {
	return Policy{Daily: rng.IntN(10) - 1, Weekly: rng.IntN(7) - 1, Monthly: rng.IntN(14) - 1}
}

func rounds(t *testing.T, f func(t *testing.T, rng *rand.Rand)) {
	t.Helper()
	for seed := range uint64(500) {
		f(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func only(backups []Backup, ids []string) []Backup {
	return slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return !slices.Contains(ids, b.ID) })
}

func TestInvariants(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups := randomBackups(rng, false)
		checkDecisions(t, backups, Decide(backups, randomPolicy(rng), time.UTC))
	})
}

func TestOrderDoesNotMatter(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups, p := randomBackups(rng, false), randomPolicy(rng)
		want := Decide(backups, p, time.UTC)
		shuffled := slices.Clone(backups)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		given := slices.Clone(shuffled)
		if got := Decide(shuffled, p, time.UTC); !reflect.DeepEqual(got, want) {
			t.Errorf("shuffled: %v\nin order: %v", got, want)
		}
		if !reflect.DeepEqual(given, shuffled) {
			t.Error("the caller's slice was changed")
		}
	})
}

// Deciding again on what was kept keeps all of it, for the same reasons.
func TestIdempotent(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups, p := randomBackups(rng, false), randomPolicy(rng)
		first := Decide(backups, p, time.UTC)
		kept := slices.DeleteFunc(slices.Clone(first), func(d Decision) bool { return !d.Keep })
		if again := Decide(only(backups, keptIDs(first)), p, time.UTC); !reflect.DeepEqual(again, kept) {
			t.Errorf("first %v\nagain %v", kept, again)
		}
	})
}

// A larger policy keeps everything that a smaller one keeps.
func TestLargerPolicyKeepsMore(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups := randomBackups(rng, false)
		small := Policy{Daily: 1 + rng.IntN(9), Weekly: 1 + rng.IntN(6), Monthly: 1 + rng.IntN(13)}
		large := Policy{small.Daily + rng.IntN(3), small.Weekly + rng.IntN(3), small.Monthly + rng.IntN(3)}
		more := keptIDs(Decide(backups, large, time.UTC))
		for _, id := range keptIDs(Decide(backups, small, time.UTC)) {
			if !slices.Contains(more, id) {
				t.Errorf("%+v keeps %s, %+v does not", small, id, large)
			}
		}
	})
}

// Pruning on the way, whenever that is, leaves what deciding once at the end
// keeps of the whole history, while clocks run forward and no further keep
// holds a backup in the middle of a bucket.
func TestPruningOnTheWayMakesNoDifference(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups := randomBackups(rng, true)
		for i := range backups {
			backups[i].Vault, backups[i].Uploaded, backups[i].Drilled = false, false, false
		}
		p := Policy{Daily: 1 + rng.IntN(7), Weekly: 1 + rng.IntN(4), Monthly: 1 + rng.IntN(6)}
		var present []Backup
		for i, b := range backups {
			present = append(present, b)
			if i+1 == len(backups) || rng.IntN(3) == 0 {
				present = only(present, keptIDs(Decide(present, p, time.UTC)))
			}
		}
		whole := Decide(backups, p, time.UTC)
		pruned := Decide(present, p, time.UTC)
		if got, want := keptIDs(pruned), keptIDs(whole); !slices.Equal(got, want) {
			t.Errorf("%+v: pruned on the way\n%v\nonce\n%v", p, got, want)
		}
	})
}

// An incomplete backup changes nothing for the others.
func TestIncompleteIsNotCounted(t *testing.T) {
	rounds(t, func(t *testing.T, rng *rand.Rand) {
		backups, p := randomBackups(rng, false), randomPolicy(rng)
		complete := slices.DeleteFunc(slices.Clone(backups), func(b Backup) bool { return !b.Complete })
		with := slices.DeleteFunc(Decide(backups, p, time.UTC), func(d Decision) bool {
			return slices.Contains(d.Reasons, "incomplete: never removed")
		})
		if without := Decide(complete, p, time.UTC); !reflect.DeepEqual(with, without) {
			t.Errorf("with %v\nwithout %v", with, without)
		}
	})
}

func TestReasons(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	backups := []Backup{
		{ID: "a", Time: at("2025-08-31 03:00"), Complete: true},
		{ID: "b", Time: at("2025-09-28 03:00"), Complete: true, Drilled: true},
		{ID: "c", Time: at("2025-10-05 03:00"), Complete: true},
		{ID: "d", Time: at("2025-10-12 03:00"), Complete: true, Vault: true},
		{ID: "e", Time: at("2025-10-13 03:00"), Complete: true, Uploaded: true},
		{ID: "f", Time: at("2025-10-14 03:00"), Complete: false},
		{ID: "g", Time: at("2025-10-14 04:00"), Complete: true},
		{ID: "h", Time: at("2025-10-14 05:00"), Complete: true},
	}
	var got strings.Builder
	for _, d := range Decide(backups, Policy{Daily: 2, Weekly: 2, Monthly: 2}, nil) {
		fmt.Fprintf(&got, "%s %v %s\n", d.ID, d.Keep, strings.Join(d.Reasons, "; "))
	}
	const want = `h true daily 1 of 2 (2025-10-14); one of the last two
g true one of the last two
f true incomplete: never removed
e true daily 2 of 2 (2025-10-13); newest uploaded
d true weekly 1 of 2 (2025-W41); newest with a vault
c true weekly 2 of 2 (2025-W40)
b true monthly 1 of 2 (2025-09); newest that passed a full drill
a true monthly 2 of 2 (2025-08)
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// Every backup has its day, week and month in the given zone, and the week's
// year is the ISO one.
func TestZone(t *testing.T) {
	instant := time.Date(2026, 12, 31, 20, 0, 0, 0, time.UTC)
	tokyo := time.FixedZone("JST", 9*3600)
	for _, tc := range []struct {
		loc  *time.Location
		p    Policy
		want string
	}{
		{time.UTC, Policy{Daily: 1}, "daily 1 of 1 (2026-12-31)"},
		{tokyo, Policy{Daily: 1}, "daily 1 of 1 (2027-01-01)"},
		{tokyo, Policy{Daily: -1, Weekly: 1}, "weekly 1 of 1 (2026-W53)"},
		{tokyo, Policy{Daily: -1, Weekly: -1, Monthly: 1}, "monthly 1 of 1 (2027-01)"},
	} {
		d := Decide([]Backup{{ID: "a", Time: instant, Complete: true}}, tc.p, tc.loc)
		if d[0].Reasons[0] != tc.want {
			t.Errorf("%v: %q, want %q", tc.loc, d[0].Reasons[0], tc.want)
		}
	}
}

func TestPolicyDefaultsAndOff(t *testing.T) {
	if got, want := (Policy{}).applyDefaults(), (Policy{7, 4, 12}); got != want {
		t.Errorf("zero policy is %+v, want %+v", got, want)
	}
	backups := randomBackups(rand.New(rand.NewPCG(3, 3)), true)
	if got := calendarKeeps(Decide(backups, Policy{-1, -1, -1}, nil)); got != 0 {
		t.Errorf("%d kept by rules that are off", got)
	}
	if got := Decide(nil, Policy{}, nil); len(got) != 0 {
		t.Errorf("decisions on nothing: %v", got)
	}
}

func BenchmarkDecide(b *testing.B) {
	start := time.Date(2023, 1, 1, 3, 0, 0, 0, time.UTC)
	for _, n := range []int{30, 1000} {
		backups := make([]Backup, n)
		for i := range backups {
			backups[i] = Backup{ID: fmt.Sprintf("full_%06d", i), Time: start.AddDate(0, 0, i), Complete: true}
		}
		b.Run(fmt.Sprintf("backups=%d", n), func(b *testing.B) {
			for b.Loop() {
				Decide(backups, Policy{}, time.UTC)
			}
		})
	}
}
