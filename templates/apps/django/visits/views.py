import os

from django.http import HttpResponse
from django.shortcuts import render

from .models import Visit


def index(request):
    Visit.objects.create()
    release = os.environ.get("DP_RELEASE", "none")
    return render(request, "visits.html", {"release": release, "visits": Visit.objects.count()})


# Healthy is an app that reaches its database, with the migrations that it needs.
def health(request):
    Visit.objects.exists()
    return HttpResponse("ok", content_type="text/plain")
