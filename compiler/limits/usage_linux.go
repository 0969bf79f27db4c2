package limits

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tickTime is the unit of processor times in /proc: USER_HZ is 100 everywhere.
const tickTime = time.Second / 100

// usage returns the processor time that a child has used, and the memory that it holds, in bytes. The child
// must not have been waited for.
func usage(p *os.Process) (used time.Duration, held uint64, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0, 0, false
	}
	// The name of the program, in parentheses, can hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	number := func(i int) uint64 { // i is the field's number in proc(5); the state is field 3
		if i-3 >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseUint(string(fields[i-3]), 10, 64)
		return n
	}
	return time.Duration(number(14)+number(15)) * tickTime, number(24) * uint64(os.Getpagesize()), true
}
