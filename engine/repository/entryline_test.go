package repository

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestIndexLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 500 {
		f := randomFile(rng)
		line := f.IndexLine()
		got, err := ParseIndexLine(line)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("%q is read as %+v: %v\nwant %+v", line, got, err, f)
		}
	}
}

func TestParseIndexLineRefuses(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	good := "entry f maia_code 644 1.000000000 7 " + hash + " a"
	if _, err := ParseIndexLine(good); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"", "entry", good + "\n", good + " ", " " + good, good + " b", "x" + good,
		strings.Replace(good, " 644 ", " 0644 ", 1),
		strings.Replace(good, " 644 ", " 10644 ", 1),
		strings.Replace(good, " 7 ", " 07 ", 1),
		strings.Replace(good, " 7 ", " -7 ", 1),
		strings.Replace(good, "1.0", "01.0", 1),
		strings.Replace(good, "1.0", "+1.0", 1),
		strings.Replace(good, " f ", " d ", 1),
		strings.Replace(good, " f ", " z ", 1),
		strings.Replace(good, "0a", "0A", 1),
		strings.Replace(good, hash, "-", 1),
		strings.Replace(good, "maia_code", "Maia", 1),
		strings.TrimSuffix(good, "a") + "../a",
		strings.TrimSuffix(good, "a") + `\0141`,
	} {
		if f, err := ParseIndexLine(line); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q is read as %+v: %v", line, f, err)
		}
	}
}
