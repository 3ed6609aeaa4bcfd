"""The order in which masks are propagated around the frame in view."""

from __future__ import annotations

from uhrmat.painter.clips.chains import Chain, make_chains, next_chain


def order(chains: list[Chain], centre: int, reach: int = 100) -> list[tuple[int, int]]:
    """Key frame and frame of every step."""
    steps = []
    while (chain := next_chain(chains, centre, reach)) is not None:
        frame = chain.following
        assert frame is not None
        chain.reached = frame
        steps.append((chain.key, frame))
    return steps


def test_chains_go_both_ways_to_the_next_key_frame_and_to_the_ends() -> None:
    chains = make_chains({3: 1, 6: 2}, 9)
    assert [(c.key, c.version, c.direction, c.end) for c in chains] == [
        (3, 1, "backward", -1), (6, 2, "backward", 3), (3, 1, "forward", 6), (6, 2, "forward", 9),
    ]  # fmt: skip
    steps = order(chains, 0)
    assert sorted(steps) == [(3, 0), (3, 1), (3, 2), (3, 4), (3, 5), (6, 4), (6, 5), (6, 7), (6, 8)]
    assert make_chains({}, 5) == [] and make_chains({0: 1}, 1) == []
    assert [c.following for c in make_chains({1: 1, 2: 1}, 3)] == [0]  # neighbours leave nothing between them


def test_what_leads_to_the_frame_in_view_comes_first_then_what_is_near_it() -> None:
    steps = order(make_chains({0: 1, 6: 1}, 20), 4)
    assert steps[:2] == [(6, 5), (6, 4)]  # the nearer of both
    assert steps[2:] == [(6, 3), (6, 2), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (6, 1), (6, 7),
                         *[(6, frame) for frame in range(8, 20)]]  # fmt: skip


def test_near_frames_come_before_the_chain_of_a_far_key_frame() -> None:
    steps = order(make_chains({48: 1, 300: 1}, 301), 50, 12)
    assert steps[:4] == [(48, 49), (48, 50), (48, 51), (48, 52)]
    assert all(abs(frame - 50) <= 12 for _, frame in steps)  # 300's begins beyond reach, and frame 50 has a mask
    alone = order(make_chains({300: 1}, 301), 50, 12)
    assert alone[:250] == [(300, frame) for frame in range(299, 49, -1)] and (300, 38) in alone[250:]
    assert (60, 49) in order(make_chains({48: 1, 60: 1}, 61), 50, 12)  # near ones are blended


def test_frames_beyond_reach_are_left_but_for_those_that_lead_there() -> None:
    assert order(make_chains({10: 1}, 40), 10, 2) == [(10, 9), (10, 11), (10, 8), (10, 12)]
    assert order(make_chains({0: 1}, 40), 20, 1) == [(0, frame) for frame in range(1, 22)]


def test_a_chain_goes_on_where_another_key_frame_ends_it() -> None:
    (old,) = make_chains({0: 1}, 30)
    old.reached = 20
    chains = make_chains({0: 1, 12: 1}, 30)
    forward = next(c for c in chains if c.key == 0)
    assert forward.going_on(old).reached == 11 and forward.going_on(old).following is None
    longer = make_chains({0: 1}, 40)[0].going_on(old)
    assert longer.reached == 20 and longer.following == 21 and forward.going_on(None) is forward
    back = Chain(20, 1, -1, -1, 8)
    assert Chain(20, 1, -1, 12, 20).going_on(back).reached == 13
