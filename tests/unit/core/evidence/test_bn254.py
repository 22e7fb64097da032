import subprocess
import sys
import time

from airflow_cwf.core.evidence.bn254 import curve, g1_point, sum_of_multiples
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from tests.fakes.groth16 import triple

POINTS = triple("cwf-8").key.ic


def test_hundreds_of_signals_take_a_second_not_minutes():
    points = POINTS[1:3] * 100
    factors = [FIELD_ORDER - 1 - number for number in range(200)]
    first, second = (g1_point(point) for point in points[:2])
    wanted = curve.add(
        curve.multiply(first, sum(factors[::2]) % FIELD_ORDER),
        curve.multiply(second, sum(factors[1::2]) % FIELD_ORDER),
    )
    started = time.process_time()
    found = sum_of_multiples(POINTS[0], factors, points)
    assert time.process_time() - started < 6
    assert curve.eq(found, curve.add(wanted, g1_point(POINTS[0])))


def test_factors_of_zero_leave_the_first_point():
    assert curve.eq(sum_of_multiples(POINTS[0], (0, 0), POINTS[1:3]), g1_point(POINTS[0]))


def test_deep_json_raises_as_before_and_does_not_crash_the_process():
    script = """
import json, sys
before = sys.getrecursionlimit()
import airflow_cwf.core.evidence.bn254
assert sys.getrecursionlimit() == before
try:
    json.loads("[" * 200_000)
except RecursionError:
    print("raised")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "raised\n"
