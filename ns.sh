ip netns add lgt 2>&1; ip netns exec lgt ip link set lo up; ip netns exec lgt tc qdisc add dev lo root netem delay 20ms 2>&1; ip netns exec lgt ping -c 2 127.0.0.1 2>&1 | tail -2
